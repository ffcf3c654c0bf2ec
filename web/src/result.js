// What was found on a page: facts, switches, bars, the two charts, the table. All from the words held here.
import { allWords, eraseJob, homeAddress, jobAddress, MOST_WORDS } from './api.js'
import { barsSvg, drawBars } from './bars.js'
import { drawHistogram, drawRank, figures, range, rankSummary, summary, svgFile } from './charts.js'
import { announce, confirmed, download, fromTemplate, make, sentence } from './dom.js'
import { bytes, knownLanguage, languageName, number, plural, rounded, share, visible, when } from './say.js'
import { makeTable } from './table.js'
import { choose, makeLists, toCsv } from './words.js'

export const titleOf = (job) =>
  visible(job.page?.title?.trim() || job.url || { text: 'A pasted text', html: 'An HTML document' }[job.kind] || 'A page', 200)

/** Shows a succeeded job in the place; go(address) moves to another view, fail(error) shows what went wrong. */
export async function showResult(place, job, { signal, go, fail }) {
  const { element, parts } = fromTemplate('result-view')
  showFacts(parts, job)
  wireActions(parts, job, { go, fail })
  const all = job.totals?.words || 0
  const shareOf = (count) => (all ? count / all : 0)
  const language = knownLanguage(job.page?.language)
  drawBars(parts.tops, parts.legend, (job.top ?? []).map((row) => ({ ...row, share: shareOf(row.count) })), language)
  parts.body.hidden = !all // charts and tables of nothing say nothing
  parts.body.setAttribute('aria-busy', 'true')
  place.replaceChildren(element)
  if (!all) return
  const words = await allWords(job.id, {
    signal,
    onProgress: (got, total) => {
      parts.shown.textContent = `Loading words: ${number(got)} of ${number(total)}`
    },
  })
  if (signal.aborted) return
  parts.body.removeAttribute('aria-busy')
  if (words.length >= MOST_WORDS) caution(parts, `Only the ${number(words.length)} most frequent words are shown; the API's CSV has all.`)
  showWords(element, parts, { words, language, shareOf, name: fileName(job) })
}

function showWords(element, parts, { words, language, shareOf, name }) {
  const lists = makeLists(words, language)
  const table = makeTable(element.querySelector('.all'), parts, { language, fold: lists.fold, shareOf })
  const asRow = ({ word, count, stop }) => ({ word, count, share: shareOf(count), stop_word: stop })
  let chosen
  const tops = () => chosen.indexes.slice(0, Number(parts.many.value)).map((index) => asRow(chosen.list.items[index]))
  const wordAt = (rank) => visible(chosen.list.items[chosen.indexes[rank]].word, 30)
  const charts = () => {
    drawHistogram(parts.histogram, chosen.bins)
    drawRank(parts.rank, chosen.counts, wordAt, language)
  }

  function update() {
    const least = Math.max(1, Math.floor(Number(parts.least.value)) || 1)
    chosen = choose(parts.fold.checked ? lists.folded : lists.kept, { stop: parts.stop.checked, least })
    parts.shown.textContent = `${plural(chosen.indexes.length, 'distinct word')}, ${number(chosen.sum)} in all`
    drawBars(parts.tops, parts.legend, tops(), language)
    charts()
    explain(parts, chosen, wordAt, language)
    table.update(chosen)
  }

  for (const control of [parts.stop, parts.fold, parts.many]) control.addEventListener('change', update)
  parts.least.addEventListener('input', update)
  update()
  new ResizeObserver(onlyWidth(charts)).observe(parts.histogram)
  parts.csv.addEventListener('click', () => download(`${name}.csv`, 'text/csv', toCsv(table.rows().map(asRow))))
  parts.json.addEventListener('click', () =>
    download(`${name}.json`, 'application/json', `${JSON.stringify({ words: table.rows().map(asRow) }, null, 1)}\n`))
  const keep = (kind, svg) => download(`${name}-${kind}.svg`, 'image/svg+xml', svgFile(svg))
  parts['tops-svg'].addEventListener('click', () => keep('words', barsSvg(tops())))
  parts['histogram-svg'].addEventListener('click', () => keep('histogram', parts.histogram.querySelector('svg')))
  parts['rank-svg'].addEventListener('click', () => keep('rank', parts.rank.querySelector('svg')))
  const pause = () => new Promise(window.requestIdleCallback ?? setTimeout)
  lists.kept.prepareAlphabet(pause).then(() => lists.folded.prepareAlphabet(pause))
}

function onlyWidth(draw) {
  let width = 0
  return ([{ contentRect }]) => {
    if (width && Math.abs(contentRect.width - width) > 1) draw()
    width = contentRect.width
  }
}

function explain(parts, chosen, wordAt, language) {
  const { bins } = chosen
  const said = summary(bins)
  const zipf = chosen.counts.length ? ' The dashed line is Zipf’s law: the first count divided by the rank.' : ''
  parts['histogram-text'].textContent = `${said[0].toUpperCase()}${said.slice(1)}.`
  parts['rank-text'].replaceChildren(...sentence(rankSummary(chosen.counts, wordAt), language), `.${zipf}`)
  figures(parts['histogram-table'], ['Occurrences', 'Distinct words'], bins.map((bin) => [range(bin), number(bin.words)]))
  const ranks = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000].filter((rank) => rank <= chosen.counts.length)
  figures(parts['rank-table'], ['Rank', 'Word', 'Count', 'Zipf'], ranks.map((rank) => [
    number(rank), make('bdi', { lang: language }, wordAt(rank - 1)), number(chosen.counts[rank - 1]), rounded(chosen.counts[0] / rank),
  ]))
}

function showFacts(parts, job) {
  const { page = {}, totals = {} } = { page: job.page ?? {}, totals: job.totals ?? {} }
  parts.title.replaceChildren(make('bdi', {}, titleOf(job)))
  showAddress(parts.what, page.url ?? job.url)
  const facts = [
    ['Words', number(totals.words ?? 0)],
    ['Distinct', number(totals.distinct ?? 0)],
    ['Stop words', stopShare(totals)],
    ['Language', page.language ? languageName(page.language) : 'unknown'],
    ['Encoding', page.encoding || '–'],
    ['Size', page.bytes == null ? '–' : bytes(page.bytes)],
    [job.kind === 'url' ? 'Fetched' : 'Counted', when(job.finished_at)],
  ]
  parts.facts.append(...facts.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))))
  if (job.expires_at) parts.about.textContent = `Kept until ${when(job.expires_at)}.`
  if (!totals.words) caution(parts, 'There are no words on this page. It may be drawn by scripts, which are not run here.')
  else if (totals.stop_list === false) {
    caution(parts, `There is no list of stop words for ${page.language ? languageName(page.language) : 'this language'}: all words are shown.`)
  }
}

function stopShare({ words, stop_words: stop, stop_list: list }) {
  if (list === false) return 'no list'
  return words ? share((stop ?? 0) / words) : '–'
}

function caution(parts, text) {
  parts.caution.hidden = false
  parts.caution.append(make('span', {}, text))
}

/** The address as a link where it is one of the web's, else as text. */
export function showAddress(place, address) {
  const shown = make('bdi', {}, visible(address ?? '', 300))
  const web = /^https?:\/\//.test(address ?? '')
  place.replaceChildren(web ? make('a', { href: address, rel: 'noreferrer nofollow' }, shown) : shown)
  place.hidden = !address
}

function wireActions(parts, job, { go, fail }) {
  parts.share.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(jobAddress(job.id))
      parts.share.textContent = 'Link copied'
      announce('Link copied')
    } catch {
      announce('The link is in the address bar')
      parts.share.textContent = 'The link is in the address bar'
    }
  })
  confirmed(parts.erase, 'Really erase?', async () => {
    try {
      await eraseJob(job.id)
      announce('Erased')
      go(homeAddress())
    } catch (error) {
      fail(error)
    }
  })
}

const fileName = (job) => {
  const host = URL.canParse?.(job.url ?? '') ? new URL(job.url).hostname : job.kind
  return `words-${host}-${job.id.slice(0, 8)}`
}
