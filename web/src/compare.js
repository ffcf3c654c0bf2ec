// Two pages side by side: the words that each uses more than the other, by the API's scores.
import { keywordsOf } from './api.js'
import { said } from './advice.js'
import { make } from './dom.js'
import { factor, number, plural, visible } from './say.js'
import { makeFold } from './words.js'

const ROWS = 15 // of each page at first
const MOST = 200

/** Shows the words typical of either; open(word) shows one of them in the first page. Returns their rows. */
export async function showCompared(parts, [one, other], { common, language, titles, open, signal }) {
  parts.compared.hidden = false
  parts['compared-title'].replaceChildren('Compared with ', make('bdi', { lang: language }, `“${titles[1]}”`))
  parts['compared-note'].textContent = 'Loading…'
  parts['compared-rows'].replaceChildren()
  let found
  try {
    const asked = { sort: 'lrc', limit: MOST, stop_words: common ? 'include' : 'exclude', signal }
    const [mine, theirs] = await Promise.all(['positive', 'negative'].map((sign) => keywordsOf(one.id, other.id, { ...asked, sign })))
    found = { mine: typical(mine), theirs: typical(theirs) }
  } catch (error) {
    if (error.name === 'AbortError') return []
    parts['compared-note'].textContent = error.type === 'rules-differ'
      ? 'One of the pages was counted by older rules. Count it again to compare.' : said(error)
    return []
  }
  const { mine, theirs } = found
  parts['compared-note'].textContent = mine.length + theirs.length
    ? 'Words typical of either page, by how many times more frequent they are there; only differences that are unlikely to be chance. “3 : 0” are the counts on this page and on the other.'
    : 'No word is used clearly more by one page than by the other. Short pages show few differences.'
  parts['compared-head'].hidden = !(mine.length + theirs.length)
  parts['compared-mine'].textContent = 'this page'
  parts['compared-theirs'].replaceChildren(make('bdi', {}, visible(titles[1], 40)))
  let shown = ROWS
  const draw = () => {
    const most = Math.max(1, ...[...mine, ...theirs].map(size))
    const row = (word) => compared(word, most, language, open)
    parts['compared-rows'].replaceChildren(...mine.slice(0, shown).map(row), ...theirs.slice(0, shown).reverse().map(row))
    parts['compared-more'].hidden = shown >= Math.max(mine.length, theirs.length)
  }
  parts['compared-more'].onclick = () => {
    shown += 50
    draw()
  }
  draw()
  return [...mine, ...theirs]
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
      const text = make('bdi', { lang: language }, visible(item.word, 40))
      const entry = open ? make('button', { type: 'button', class: 'entry' }, text) : text
      entry.onclick = () => open?.(item.word)
      return [from + at ? ', ' : '', entry, ` ${number(item.count)}`]
    }))
    more.hidden = to >= only.length
    more.textContent = `${number(Math.min(MOST, only.length - to))} more`
    more.onclick = () => show(to, to + MOST)
  }
  place.replaceChildren(make('strong', {}, `${title}: `), only.length ? `${plural(only.length, 'word')}: ` : 'no word', words, ' ', more)
  show(0, ROWS)
}

const typical = ({ keywords }) =>
  keywords.filter((word) => word.lrc !== 0).sort((a, b) => Math.abs(b.log_ratio) - Math.abs(a.log_ratio))
const size = (word) => Math.min(8, Math.abs(word.log_ratio))

function compared(word, most, language, open) {
  const mine = word.log_ratio > 0
  const bar = make('span', { class: mine ? 'fill' : 'fill other' })
  bar.style.inlineSize = `${Math.max(2, (100 * size(word)) / most)}%`
  const only = mine ? !word.count_other : !word.count
  const said = only ? 'only here' : factor(2 ** Math.abs(word.log_ratio))
  const counts = `${number(word.count)} : ${number(word.count_other)}`
  const name = make('button', { type: 'button', class: 'entry' }, make('bdi', { lang: language }, visible(word.word, 40)))
  name.addEventListener('click', () => open(word.word))
  name.dataset.word = word.word
  const measure = [make('span', { class: 'value' }, said), bar]
  return make('tr', {},
    make('td', { class: 'mine' }, ...(mine ? measure : [make('span', { class: 'value quiet' }, counts)])),
    make('th', { scope: 'row' }, name),
    make('td', { class: 'theirs' }, ...(mine ? [make('span', { class: 'value quiet' }, counts)] : measure.reverse())))
}
