// Two pages side by side: the words that each uses more than the other, by the API's scores.
import { addressOf, listCorpora, listJobs } from './api.js'
import { said } from './advice.js'
import { bdi, button, make, sendByEnter } from './dom.js'
import { keywordsOf } from './evidence.js'
import { corpusName, firstWords, titleOf } from './history.js'
import { factor, number, plural, when } from './say.js'
import { isCorpus, writeState } from './state.js'
import { makeFold } from './words.js'

const ROWS = 15 // of each page at first
const MOST = 200

/** The menu that adds a page to compare with: an address, a text, or something of the history. */
export function wireCompare(parts, { view, go, send }) {
  const to = (id) => go(addressOf(writeState({ ...view.state(), vs: id })))
  let loaded = false
  parts['compare-menu'].addEventListener('toggle', async () => {
    if (loaded || !parts['compare-menu'].open) return
    loaded = true
    const [{ jobs }, corpora] = await Promise.all([listJobs().catch(() => ({ jobs: [] })), listCorpora().catch(() => [])])
    const others = [
      ...jobs.filter((one) => one.state === 'succeeded').map((one) => [one.id, [titleOf(one), ...firstWords(one), when(one.submitted_at)].join(' · ')]).slice(0, 8),
      ...corpora.filter((one) => one.totals.words).map((one) => [`corpus:${one.id}`, corpusName(one)]).slice(0, 8),
    ].filter(([id]) => id !== view.state().jobs[0])
    parts.recent.replaceChildren(...others.map(([id, name]) => make('li', {}, button('plain small', () => to(id), bdi(name)))))
    parts['recent-title'].hidden = !others.length
  })
  parts['compare-form'].addEventListener('submit', (event) => {
    event.preventDefault()
    send(parts['compare-input'].value, to)
  })
  sendByEnter(parts['compare-input'])
}

/** Shows the words typical of either of two jobs or corpora by their ids; open(word) shows one of them in the first, save(kind, rows) makes a picture. */
export async function showCompared(parts, [one, other], { common, language, here, title, open, save, signal }) {
  parts.compared.hidden = false
  parts['compared-note'].textContent = 'Loading…'
  parts['compared-rows'].replaceChildren()
  let found
  try {
    const asked = { sort: 'lrc', limit: MOST, stop_words: common ? 'include' : 'exclude', signal }
    const turned = isCorpus(other) && !isCorpus(one) // a job is compared with jobs only
    const [more, less] = await Promise.all(['positive', 'negative'].map((sign) =>
      keywordsOf(turned ? other : one, turned ? one : other, { ...asked, sign }).then(({ keywords }) => typical(keywords, turned))))
    found = turned ? { mine: less, theirs: more } : { mine: more, theirs: less }
  } catch (error) {
    if (error.name === 'AbortError') return
    parts['compared-note'].textContent = error.type === 'rules-differ'
      ? 'One of the pages was counted by older rules. Count it again to compare.' : said(error)
    return
  }
  const { mine, theirs } = found
  parts['compared-note'].textContent = mine.length + theirs.length
    ? 'Words typical of either, by how many times more frequent they are there; only differences that are unlikely to be chance. “3 : 0” are the counts here and there.'
    : 'No word is used clearly more here or there. Short pages show few differences.'
  parts['compared-head'].hidden = parts['compared-files'].hidden = !(mine.length + theirs.length)
  parts['compared-mine'].textContent = here
  parts['compared-theirs'].replaceChildren(bdi(title, 40))
  let shown = ROWS
  const draw = () => {
    const most = Math.max(1, ...[...mine, ...theirs].map(size))
    const rows = [...mine.slice(0, shown), ...theirs.slice(0, shown).reverse()].map((word) => compared(word, most))
    parts['compared-rows'].replaceChildren(...rows.map((row) => line(row, language, open)))
    for (const kind of ['svg', 'png']) parts[`compared-${kind}`].onclick = () => save(kind, rows)
    parts['compared-more'].hidden = shown >= Math.max(mine.length, theirs.length)
  }
  parts['compared-more'].onclick = () => {
    shown += 50
    draw()
  }
  draw()
}

/**
 * The words that one of two lists has and the other has not: by any spelling of case, without common words.
 * @param {HTMLElement} place @param {string} title
 * @param {import('./words.js').Item[]} items @param {import('./words.js').Item[]} others
 * @param {{language?: string, open?: (word: string) => void}} how
 */
export function showOnly(place, title, items, others, { language, open }) {
  const fold = makeFold(language)
  const known = new Set(others.map((item) => fold(item.word)))
  const only = items.filter((item) => !item.stop && !known.has(fold(item.word)))
  const words = make('span')
  const more = make('button', { type: 'button', class: 'link' })
  const show = (from, to) => {
    words.append(...only.slice(from, to).flatMap((item, at) => {
      const text = bdi(item.word, 40, language)
      return [from + at ? ', ' : '', open ? button('entry', () => open(item.word), text) : text, ` ${number(item.count)}`]
    }))
    more.hidden = to >= only.length
    more.textContent = `${number(Math.min(MOST, only.length - to))} more`
    more.onclick = () => show(to, to + MOST)
  }
  place.replaceChildren(make('strong', {}, `${title}: `), only.length ? `${plural(only.length, 'word')}: ` : 'no word', words, ' ', more)
  show(0, ROWS)
}

const typical = (keywords, turned) =>
  keywords.filter((word) => word.lrc !== 0)
    .map((word) => (turned ? { ...word, log_ratio: -word.log_ratio, count: word.count_other, count_other: word.count } : word))
    .sort((a, b) => Math.abs(b.log_ratio) - Math.abs(a.log_ratio))
const size = (word) => Math.min(8, Math.abs(word.log_ratio))

/** What is shown of a word, its size as a part of the greatest. */
function compared({ word, log_ratio: ratio, count, count_other: theirs }, most) {
  const mine = ratio > 0
  const only = mine ? !theirs : !count
  const said = only ? `only ${mine ? 'here' : 'there'}` : factor(2 ** Math.abs(ratio))
  return { word, mine, said, counts: `${number(count)} : ${number(theirs)}`, size: size({ log_ratio: ratio }) / most }
}

function line({ word, mine, said, counts, size }, language, open) {
  const bar = make('span', { class: mine ? 'fill' : 'fill other' })
  bar.style.setProperty('--size', String(size))
  const name = button('entry', () => open(word), bdi(word, 40, language))
  name.dataset.word = word
  const measure = [make('span', { class: 'value' }, said), bar]
  return make('tr', {},
    make('td', { class: 'mine' }, ...(mine ? measure : [make('span', { class: 'value quiet' }, counts)])),
    make('th', { scope: 'row' }, name),
    make('td', { class: 'theirs' }, ...(mine ? [make('span', { class: 'value quiet' }, counts)] : measure.reverse())))
}
