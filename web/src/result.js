// What was found: a sentence, chips, the list of all words, one word's contexts, two charts, a comparison.
import { addressOf, eraseJob, getToken, homeAddress, jobAddress } from './api.js'
import { said } from './advice.js'
import { oftenText, rankText, drawOften, drawRank, tables } from './charts.js'
import { wireChips, wireMenus } from './chips.js'
import { showCompared, showOnly } from './compare.js'
import { addressNode, announce, bdi, button, calm, confirmed, fromTemplate, make, pause, routed } from './dom.js'
import { MOST_WORDS, phrasesOf, placesOf, textOf, wordsOf } from './evidence.js'
import { barsPicture, comparedPicture, saveCsv, saveJson, savePicture } from './files.js'
import { titleOf } from './history.js'
import { makeInspector } from './inspector.js'
import { makeList, PARTS } from './list.js'
import { knownLanguage, languageName, listed, number, plural, readingTime, searchKey, visible, when } from './say.js'
import { isCorpus, writeState } from './state.js'
import { choose, find, prepare, together, wordsInHalf } from './words.js'

export { wireCompare } from './compare.js'
export * from './several.js'

const BARS = 20 // in a picture
const PRINTED = 60 // rows on paper
const NAMED = 8 // pages named beside the bars that stand for them
const PHRASES = 10_000
const LONGEST = 100 // characters of a word in the list of those whose places are asked for: the API takes 10,000 of them
const UNSPACED = /^(zh|ja|th|lo|km|my)\b/ // scripts that set no spaces between words

const loadD3 = import('./d3.js')
loadD3.catch(() => {}) // said where charts are drawn

/**
 * Shows succeeded jobs in the place, several as one list. view: {state(), change(patch)}: what the address says and how
 * to change it; go(address) moves to another view, form sends another page. Returns refresh(), for the state has changed.
 */
export function showResult(place, jobs, { view, signal, go, form, other = /** @type {any} */ (null), corpus = '' }) {
  const { element, parts } = fromTemplate('result-view')
  const several = jobs.length > 1
  const [job] = jobs
  const whole = job.kind === 'corpus' // too many to be several
  const source = corpus || job.id
  const languages = new Set(jobs.map((one) => one.page?.language))
  const language = languages.size === 1 ? knownLanguage(job.page?.language) : undefined
  const all = jobs.reduce((sum, one) => sum + (one.totals?.words ?? 0), 0)
  const viewOf = (patch) => addressOf(writeState({ ...view.state(), ...patch }))
  const named = jobs.some((one) => one.totals?.stop_list !== false)
  /** @type {any} */
  let [words, list, shown, found, highlights, loadedAs] = [null, null, null, [], [], '']

  showHead(parts, jobs, { language, all, form })
  parts['compare-menu'].hidden = (several && !corpus) || !all
  parts.two.hidden = jobs.length !== 2 || Boolean(corpus)
  parts.two.href = viewOf({ jobs: [job.id], vs: jobs.at(-1).id })
  parts['download-menu'].hidden = !all
  place.replaceChildren(element)
  wireMenus(element, signal)
  wireActions(parts, source, { several: several && !corpus, go })
  const showChips = wireChips(parts, { change: view.change })
  const fetchStrips = calm(80, async (items) => {
    const fits = ({ word, phrase }) => !phrase && word.length < LONGEST && !word.includes(',')
    const asked = items.filter(fits).slice(0, 60).map((item) => item.word)
    if (!asked.length) return
    const found = await placesOf(job.id, asked, { signal, parts: PARTS, case: view.state().fold ? 'fold' : 'keep' }).catch(() => null)
    if (found) listView.strips(new Map(found.places.map((one) => [one.word, one.parts])))
  })
  const listView = makeList({ ...parts, empty: () => emptyText(view.state()) }, {
    language,
    open: (item, how) => openWord(item, how),
    wanted: (items) => !several && !whole && fetchStrips(items),
  })
  const inspector = makeInspector(parts, {
    language, signal,
    shown: () => ({ id: source, fold: view.state().fold, all, corpus }),
    pages: (item) => (several && !corpus ? jobs.map((one, at) => ({ id: one.id, title: titleOf(one), count: item.counts?.[at] ?? 0 })) : []),
    hide: (item) => {
      const { add, remove } = view.state()
      if (!item.stop) view.change({ add: [...add, item.word], remove: remove.filter((word) => word !== item.word) })
      else view.change({ remove: [...remove, item.word], add: add.filter((word) => word !== item.word) })
    },
    onClose() {
      view.change({ word: '' }, { quiet: true })
      listView.choose('')
    },
    focusList: () => listView.focus(),
  })
  signal.addEventListener('abort', () => inspector.close())
  if (several || whole) element.classList.add('several')
  parts['by-pages'].hidden = !several && !whole

  function openWord(item, { keyboard = false, quiet = false } = {}) {
    if (!item) return
    if (!quiet) view.change({ word: item.word }, { quiet: true })
    listView.choose(item.word)
    for (const highlight of highlights) highlight(item.word)
    for (const button of parts['compared-rows'].querySelectorAll('button')) button.classList.toggle('chosen', button.dataset.word === item.word)
    const at = shown?.list.items.indexOf(item) ?? -1
    inspector.open(item, at >= 0 ? shown.ranks[at] : 0, { keyboard, quiet })
  }

  const itemOf = (word) => {
    const { items } = (view.state().n > 1 ? list : words) ?? { items: [] }
    const key = searchKey(word)
    return items.find((item) => item.word === word) ?? items.find((item) => searchKey(item.word) === key)
  }

  /** The list as the state has it, of what is loaded. */
  function update() {
    const state = view.state()
    if (state.sort === 'word' && !list.sorted) return sortAhead(list)
    shown = choose(list, { common: state.common || state.n > 1, min: state.min })
    found = find(shown, state.find, state.sort)
    listView.show({ indexes: found, list, ranks: shown.ranks, all, pages: several ? jobs.map((one) => one.totals?.words ?? 0) : null })
    const held = state.find ? `${number(found.length)} of ` : ''
    const kind = state.n > 1 ? 'different phrase' : 'different word'
    parts.shown.textContent = `${held}${plural(shown.indexes.length, kind)} · ${plural(shown.sum, 'occurrence')}`
    showChips({ state, items: words.items, named, several: several && !corpus })
    parts['word-head'].textContent = state.n > 1 ? 'phrase' : 'word'
    parts.where.textContent = whole ? 'on pages' : several ? 'by page' : 'where in the text'
    element.classList.toggle('phrases', state.n > 1)
    for (const head of element.querySelectorAll('[data-sort]')) {
      if (head.dataset.sort === state.sort) head.setAttribute('aria-sort', state.sort === 'word' ? 'ascending' : 'descending')
      else head.removeAttribute('aria-sort')
    }
    const top = words.items.filter((item) => !item.stop).slice(0, 3)
    sentence(parts, { all, words, top, language, several: jobs.length, open: (item) => openWord(item, { keyboard: true }) })
  }

  /** A dictionary's order of many words takes a while: the list stays as it is until it is there. */
  async function sortAhead(sorting) {
    parts.loading.textContent = 'Sorting…'
    await sorting.warm(pause)
    parts.loading.textContent = ''
    if (sorting === list && !signal.aborted) update()
  }

  async function reload() {
    const state = view.state()
    loadedAs = keyOf(state)
    const asked = loadedAs
    const loaders = jobs.map((one) => wordsOf(one.id, state))
    const use = (items) => {
      words = prepare(items, language)
      if (view.state().n === 1) list = words
    }
    const merged = () => (several ? together(loaders.map((one, at) => ({ language: jobs[at].page?.language, items: one.items })), state.fold) : loaders[0].items.slice())
    const onChunk = () => {
      const [got, total] = ['items', 'total'].map((name) => loaders.reduce((sum, one) => sum + (name === 'items' ? one.items.length : one.total), 0))
      parts.loading.textContent = got < total ? `Loading words: ${number(got)} of ${number(total)}` : ''
      if (several || asked !== loadedAs || (words && got > 10_000 && got < total)) return
      use(merged())
      if (list) update()
    }
    parts.rest.hidden = true
    parts.body.setAttribute('aria-busy', 'true')
    const load = async () => {
      try {
        for (const loader of loaders) if (!loader.done) await loader.load({ signal, onChunk })
        return true
      } catch (error) {
        if (error.name === 'AbortError' || signal.aborted) return false
        parts.rest.hidden = false
        parts['rest-text'].textContent = `${said(error)} ${words ? 'Not all words are here yet.' : ''}`
        parts['load-rest'].onclick = async () => {
          parts.rest.hidden = true
          if (await load()) await finish()
        }
        return Boolean(words) || several
      }
    }
    const finish = async () => {
      if (signal.aborted || asked !== loadedAs) return
      listView.forgetStrips()
      use(merged())
      parts.loading.textContent = loaders.some((one) => one.items.length >= MOST_WORDS && one.total > MOST_WORDS)
        ? `Only the ${number(MOST_WORDS)} most frequent words are shown; the API’s CSV has all.` : ''
      parts.body.removeAttribute('aria-busy')
      await phrases()
      update()
      await charts()
      words.warm(pause)
    }
    if (await load()) await finish()
  }

  const keyOf = ({ fold, add, remove }) => JSON.stringify([fold, add, remove])
  let phrasesAs = ''
  async function phrases() {
    const { n, min, common } = view.state()
    if (n === 1) {
      list = words
      phrasesAs = ''
      return
    }
    const asked = JSON.stringify([n, min, common])
    if (asked === phrasesAs) return
    phrasesAs = asked
    try {
      const given = await phrasesOf(source, { signal, n, measure: 'count', min_count: Math.max(2, min), stop_words: common ? 'include' : 'edges', limit: PHRASES })
      const glue = UNSPACED.test(language ?? '') ? '' : ' '
      list = prepare(given.phrases.map(({ phrase, count }) => ({ word: phrase.join(glue), phrase: phrase.join(' '), count, stop: false })), language)
    } catch (error) {
      if (error.name === 'AbortError') return
      list = prepare([], language)
      parts.loading.textContent = error.type === 'text-not-kept' ? 'The text of this page was not kept, so there are no phrases.' : said(error)
    }
  }

  async function charts() {
    const d3 = await loadD3
    if (signal.aborted) return
    const { items } = words
    const chosen = view.state().word
    const open = (item) => openWord(item)
    const draw = () => {
      highlights = [
        drawRank(d3, parts.rank, items, { language, open, chosen: view.state().word }),
        drawOften(d3, parts.often, items, { chosen }),
      ]
    }
    draw()
    onWidth(parts.rank, draw, signal)
    parts['rank-text'].replaceChildren(...rankText(items).map((part, at) => (at % 2 ? bdi(part, 80, language) : part)))
    parts['often-text'].textContent = oftenText(items)
    tables(parts, items, language)
  }

  const compare = async () => {
    if (!other) return null
    const here = corpus ? 'these pages' : 'this page'
    const theirAddress = isCorpus(other.id) ? viewOf({ jobs: [other.id], vs: '' }) : jobAddress(other.id)
    parts['compared-title'].replaceChildren('Compared with ', routed(theirAddress, bdi(titleOf(other), 200, knownLanguage(other.page?.language))))
    parts.uncompare.href = viewOf({ vs: '' })
    const open = (word) => openWord(itemOf(word) ?? { word, count: 0, stop: false }, { keyboard: true })
    const save = (kind, rows) => savePicture(kind, `${fileName(jobs)}-compared`, comparedPicture(rows),
      { ...about(), title: `${about().title} compared with ${titleOf(other)}`, note: parts['compared-note'].textContent })
    await showCompared(parts, [source, other.id], { common: view.state().common, language, here, title: titleOf(other), signal, open, save })
    const theirs = await wordsOf(other.id, view.state()).load({ signal }).catch(() => null)
    if (!theirs || signal.aborted) return
    showOnly(parts['only-mine'], `Only on ${here}`, words.items, theirs.items, { language, open })
    showOnly(parts['only-theirs'], `Not on ${here}`, theirs.items, words.items, { language: knownLanguage(other.page?.language) })
  }

  wireFind(parts, listView, () => {
    const text = parts.find.value.trim()
    // The word as it was typed comes before longer ones, and where common words are hidden too.
    const exact = text && itemOf(text)
    if (exact && exact !== list.items[found[0]]) openWord(exact, { keyboard: true })
    else if (!found.length && text) openWord({ word: text, phrase: text, count: 0, stop: false }, { keyboard: true })
    else return false
    return true
  }, signal)
  for (const head of element.querySelectorAll('[data-sort] button')) {
    head.addEventListener('click', () => view.change({ sort: head.parentElement.dataset.sort }))
  }
  const asRow = (index) => {
    const { word, count, stop, counts, documents } = list.items[index]
    return { word, count, share: all ? count / all : 0, stop_word: stop, counts, documents }
  }
  const about = () => ({
    title: several ? `${number(jobs.length)} pages` : titleOf(job),
    address: several ? '' : (job.page?.url ?? job.url ?? ''),
    date: when(job.finished_at),
  })
  wireDownloads(parts, { about, name: fileName(jobs), rows: () => Array.from(found, asRow), all, state: view.state, note: () => parts.shown.textContent })
  addEventListener('beforeprint', () => listView.print(PRINTED), { signal })
  addEventListener('afterprint', () => listView.print(0), { signal })

  parts.body.hidden = !all
  if (!all) return { ready: Promise.resolve(), refresh() {} }
  const ready = reload().then(() => {
    const { word } = view.state()
    const item = word ? itemOf(word) : null
    if (item) openWord(item)
    else if (found.length && !several) openWord(list.items[found[0]], { quiet: true })
    return compare()
  })
  let comparedAs = view.state().common
  return {
    ready,
    async refresh() {
      const state = view.state()
      if (keyOf(state) !== loadedAs) return reload()
      if (!words) return
      await phrases()
      if (signal.aborted) return
      update()
      if (comparedAs !== state.common) {
        comparedAs = state.common
        compare()
      }
    },
  }
}

const emptyText = (state) => (state.find ? `No ${state.n > 1 ? 'phrases' : 'words'} match “${visible(state.find, 40)}”. Enter looks for it in the text.` : `No ${state.n > 1 ? 'phrases' : 'words'} match these filters.`)

function onWidth(place, draw, signal) {
  let width = place.clientWidth
  const observer = new ResizeObserver(calm(100, () => {
    if (Math.abs(place.clientWidth - width) < 2 || !place.clientWidth) return
    width = place.clientWidth
    draw()
  }))
  observer.observe(place)
  signal.addEventListener('abort', () => observer.disconnect())
}

// The slash searches, as in other programs; not while somebody types.
function wireFind(parts, listView, openText, signal) {
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return
    if (event.target instanceof Element && event.target.closest('input, textarea, select') || parts.inspector.matches(':modal')) return
    event.preventDefault()
    parts.find.focus()
    parts.find.select()
  }, { signal })
  parts.find.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowDown' && event.key !== 'Enter') return
    event.preventDefault()
    if (event.key === 'Enter' && openText()) return
    listView.focus()
    if (event.key === 'Enter') listView.openActive()
  })
}

function showHead(parts, jobs, { language, all, form }) {
  const [job] = jobs
  const several = jobs.length > 1
  parts.title.replaceChildren(several ? `${number(jobs.length)} pages as one` : bdi(titleOf(job), 200, job.page?.title && language))
  if (several) {
    const names = jobs.length <= NAMED ? jobs.flatMap((one, at) => [at ? ', ' : ': ', bdi(`${at + 1} ${titleOf(one)}`, 60)]) : ['.']
    parts.what.append('All their words together. The small bars are the word’s share of each page, in the order of the pages', ...names)
  }
  else {
    const address = job.page?.url ?? job.url
    const facts = [
      ...(job.page?.language ? [languageName(job.page.language)] : []),
      `${job.kind === 'url' ? 'fetched' : 'counted'} ${when(job.finished_at)}`,
      ...(job.expires_at ? [`kept until ${when(job.expires_at)}`] : []),
    ]
    parts.what.append(...(address ? [addressNode(address), ' · '] : []), facts.join(' · '))
  }
  sentence(parts, { all, words: null, top: [], language, several: jobs.length })
  const cautions = []
  if (!all) cautions.push(`No words found.${jobs.some((one) => one.url) ? ' This page may need JavaScript, which we don’t run.' : ''}`)
  else if (jobs.every((one) => one.totals?.stop_list === false)) {
    cautions.push(`We have no list of common words for ${job.page?.language && !several ? languageName(job.page.language) : 'this language'}, so all words are shown.`)
  }
  parts.caution.hidden = !cautions.length
  parts.caution.textContent = cautions.join(' ')
  parts.edit.hidden = several || job.kind !== 'text'
  parts.edit.addEventListener('click', async () => {
    try {
      form.edit(await textOf(job.id))
    } catch (error) {
      tell(parts.edit, error.type === 'text-not-kept' ? 'The text was not kept' : said(error))
    }
  })
}

const tell = (button, text) => {
  button.textContent = text
  announce(text)
}

function sentence(parts, { all, words, top, language, several, open = (_) => {} }) {
  if (!all) return parts.sentence.replaceChildren()
  const counts = words?.items.map((item) => item.count)
  const word = (item) => button('entry', () => open(item), bdi(item.word, 40, language))
  const different = words ? `, ${number(words.items.length)} different` : ''
  const says = top.length ? [` ${several > 1 ? 'They say' : 'It says'}`, ...listed(top).map((part) => (typeof part === 'string' ? part || ' ' : word(part))), ' most.'] : []
  const half = counts && wordsInHalf(counts)
  const once = counts?.filter((count) => count === 1).length
  const rest = half && counts.length > 2
    ? ` ${half === 1 ? 'The most frequent word makes' : `The ${number(half)} most frequent words make`} up half of the text; ${once ? `${plural(once, 'word')} ${once === 1 ? 'occurs' : 'occur'} once` : 'no word occurs just once'}.`
    : ''
  parts.sentence.replaceChildren(make('strong', {}, plural(all, 'word')), `${different}, ${readingTime(all)} to read.`, ...says, rest)
}

function wireActions(parts, id, { several, go }) {
  parts.share.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(location.href)
      tell(parts.share, getToken() ? 'Copied: it opens with your token only' : 'Link copied')
    } catch {
      tell(parts.share, 'Copy it from the address bar')
    }
  })
  parts.erase.hidden = several
  confirmed(parts.erase, 'Delete this result?', async () => {
    try {
      await eraseJob(id)
      announce('Deleted')
      go(homeAddress())
    } catch (error) {
      announce(said(error))
    }
  })
}

function wireDownloads(parts, { about, name, rows, all, state, note }) {
  const done = (what) => {
    announce(`${what} downloaded`)
    parts['download-menu'].open = false
  }
  parts.csv.addEventListener('click', () => {
    saveCsv(name, rows())
    done('CSV')
  })
  parts.json.addEventListener('click', () => {
    const { jobs, ...shown } = state()
    saveJson(name, { ...about(), jobs, words_in_all: all, shown, words: rows() })
    done('JSON')
  })
  const picture = (kind) => {
    const top = rows().slice(0, BARS)
    return savePicture(kind, name, barsPicture(top, all), { ...about(), note: `The ${top.length} most frequent of ${note()}`, hollow: top.some((row) => row.stop_word) })
  }
  for (const kind of ['svg', 'png']) {
    parts[kind].addEventListener('click', async () => {
      await picture(kind)
      done(kind.toUpperCase())
    })
    for (const [chart, title] of [['rank', 'Rank and count of all words'], ['often', 'How often words occur']]) {
      parts[`${chart}-${kind}`].addEventListener('click', async () => {
        const text = parts[`${chart}-text`].textContent
        await savePicture(kind, `${name}-${chart}`, parts[chart].querySelector('svg'), { ...about(), title: `${about().title}: ${title}`, note: text, hollow: chart === 'rank' })
        announce(`${kind.toUpperCase()} downloaded`)
      })
    }
  }
}

const fileName = (jobs) => {
  const [job] = jobs
  if (jobs.length > 1) return `words-${jobs.length}-pages`
  const host = URL.canParse?.(job.url ?? '') ? new URL(job.url).hostname : job.kind
  return `words-${host}-${job.id.slice(-8)}`
}
