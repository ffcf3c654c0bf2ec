// The two charts of a page's frequencies, drawn with D3's scales, axes and shapes. Each is an svg with a name, values by
// pointer, touch and arrow keys, and a table of the same figures beside it. Common words are hollow.
import { bdi, make, makeSvg } from './dom.js'
import { number, plural, share, times, visible } from './say.js'
import { fitted, histogram, ranksToDraw } from './words.js'

const HEIGHT = 320
const MARGIN = { top: 16, right: 16, bottom: 42 }
const DIGIT = 7.2 // pixels of a figure in a chart's letters

/** Count by rank of all words on log axes, with the line that fits them. items, most frequent first. */
export function drawRank(d3, place, items, { language, open, chosen }) {
  const counts = items.map((item) => item.count)
  const fit = fitted(counts)
  const { svg, width, readout } = frame(place, HEIGHT, `Count by rank of ${plural(items.length, 'word')}. ${rankText(items, fit).join('')}`)
  const left = Math.max(48, 20 + DIGIT * number(counts[0] ?? 1).length)
  // Of logarithms: all that scaleLog would add are ticks between the tens, which are not wanted.
  const x = d3.scaleLinear([0, Math.log10(Math.max(counts.length, 10))], [left + 8, width - MARGIN.right - 12])
  const y = d3.scaleLinear([0, Math.log10(Math.max(counts[0] ?? 1, 10))], [HEIGHT - MARGIN.bottom, MARGIN.top])
  const tens = (scale) => scale.ticks().filter(Number.isInteger)
  const step = (width - left) / tens(x).length < 60 ? 2 : 1 // every second where they would meet
  axis(d3, svg, d3.axisLeft(y).tickValues(tens(y)).tickFormat((tick) => `${number(10 ** tick)}×`).tickSize(left + MARGIN.right - width), left, 0)
  axis(d3, svg, d3.axisBottom(x).tickValues(tens(x).filter((ten) => ten % step === 0)).tickFormat((tick) => ordinal(10 ** tick)).tickSizeOuter(0), 0, HEIGHT - MARGIN.bottom)
  svg.append(makeSvg('text', { class: 'axis-name', x: width - MARGIN.right, y: HEIGHT - 6, 'text-anchor': 'end' }, 'rank'))
  if (fit) drawFit(svg, { x, y, fit, width, last: counts.length })
  const ranks = ranksToDraw(items.length)
  const at = (rank) => [x(Math.log10(rank)), y(Math.log10(counts[rank - 1]))]
  const dots = ranks.map((rank) => makeSvg('circle', {
    class: items[rank - 1].stop ? 'dot common' : 'dot', cx: at(rank)[0], cy: at(rank)[1], r: rank > 20 ? 2.5 : 4,
  }))
  svg.append(...dots)
  svg.append(...labels(ranks, items, at, width))
  const ring = makeSvg('circle', { class: 'ring', r: 8 })
  ring.style.display = 'none'
  svg.append(ring)
  values(svg, readout, dots, {
    say: (index) => {
      const item = items[ranks[index] - 1]
      return [`Rank ${number(ranks[index])}: `, bdi(item.word, 30, language), `, ${times(item.count)}`]
    },
    nearest: (px) => nearest(ranks, 10 ** x.invert(px)),
    open: (index) => open(items[ranks[index] - 1]),
  })
  const highlight = (word) => {
    const rank = word ? items.findIndex((item) => item.word === word) + 1 : 0
    ring.style.display = rank ? '' : 'none'
    if (rank) for (const [name, value] of Object.entries({ cx: at(rank)[0], cy: at(rank)[1] })) ring.setAttribute(name, value)
  }
  highlight(chosen)
  return highlight
}

function drawFit(svg, { x, y, fit, width, last }) {
  const height = (log) => y(Math.log10(fit.at(10 ** log)))
  const inside = Array.from({ length: 41 }, (_, n) => (n / 40) * Math.log10(last)).filter((log) => height(log) <= HEIGHT - MARGIN.bottom && height(log) >= MARGIN.top - 2)
  if (inside.length < 2) return
  const ends = [inside[0], inside.at(-1)].map((log) => `${x(log)},${Math.max(height(log), MARGIN.top)}`)
  svg.append(makeSvg('path', { class: 'fit', d: `M${ends.join('L')}` }))
  const name = `slope ${slope(fit)}`
  svg.append(makeSvg('text', { class: 'fit-name', x: width - MARGIN.right, y: MARGIN.top + 12, 'text-anchor': 'end' }, name))
}

const slope = (fit) => fit.slope.toFixed(2).replace('-', '−')

// Some words by name, where they do not meet.
function labels(ranks, items, at, width) {
  const taken = []
  const made = []
  for (const rank of [...ranks].sort((a, b) => Number(items[a - 1].stop && a > 1) - Number(items[b - 1].stop && b > 1) || a - b)) {
    if (made.length >= 12) break
    const name = visible(items[rank - 1].word, 14)
    const [x, y] = at(rank)
    const box = { x: x + 10, y: y - 16, width: 7.5 * name.length + 9, height: 15 }
    if (box.x + box.width > width - MARGIN.right || box.y < 0) continue
    if (taken.some((other) => box.x < other.x + other.width && other.x < box.x + box.width && box.y < other.y + other.height && other.y < box.y + box.height)) continue
    taken.push(box)
    made.push(makeSvg('text', { class: 'label', x: box.x, y: box.y + 11 }, name))
  }
  return made
}

/** How often words occur: for once, twice, 3–4 times …, how many different words and how much of the text. */
export function drawOften(d3, place, items, { chosen }) {
  const bins = histogram(items)
  const all = bins.reduce((sum, bin) => sum + bin.sum, 0) || 1
  const height = 40 + 30 * bins.length
  const { svg, width, readout } = frame(place, height, `How often words occur. ${oftenText(items)}`)
  const names = bins.map((bin) => times(bin.from, bin.to).replace(' times', '×'))
  const room = 16 + DIGIT * Math.max(0, ...names.map((name) => name.length))
  const half = (width - room) / 2
  const y = d3.scaleBand(names, [30, height - 6]).padding(0.25)
  const most = Math.max(1, ...bins.map((bin) => bin.words))
  const many = d3.scaleLinear([0, most], [0, half - 14 - DIGIT * Math.max(4, number(most).length)])
  const much = d3.scaleLinear([0, Math.max(...bins.map((bin) => bin.sum / all), 0.01)], [0, half - 48])
  const text = (x, row, said, name = 'value') => makeSvg('text', { class: name, x, y: row }, said)
  svg.append(text(room, 18, half < 110 ? 'words' : 'different words', 'axis-name'), text(room + half, 18, half < 110 ? 'of the text' : 'share of the text', 'axis-name'))
  const bars = bins.map((bin, index) => {
    const top = y(names[index])
    const middle = top + y.bandwidth() / 2 + 4
    const bar = makeSvg('g', { class: 'bin' })
    const [first, second] = [many(bin.words), much(bin.sum / all)]
    bar.append(
      makeSvg('rect', { class: 'reach', x: 0, y: top - 3, width, height: y.step() }),
      makeSvg('rect', { class: 'words-bar', x: room, y: top, width: first && Math.max(first, 1), height: y.bandwidth() }),
      text(room + first + 5, middle, bin.words ? number(bin.words) : '–'),
      makeSvg('rect', { class: 'text-bar', x: room + half + 0.5, y: top + 0.5, width: second && Math.max(second, 1), height: y.bandwidth() - 1 }),
      text(room + half + second + 6, middle, bin.words ? percent(bin.sum / all) : '–'))
    return bar
  })
  svg.append(...bars)
  axis(d3, svg, d3.axisLeft(y).tickSize(0).tickPadding(8), room, 0)
  values(svg, readout, bars, {
    vertical: true,
    say: (index) => [`${plural(bins[index].words, 'word')} ${bins[index].words === 1 ? 'occurs' : 'occur'} ${times(bins[index].from, bins[index].to)}: ${percent(bins[index].sum / all)} of the text`],
    nearest: (at) => Math.floor((at - 30) / y.step()),
  })
  const highlight = (word) => {
    const count = items.find((item) => item.word === word)?.count
    for (const [index, bin] of bins.entries()) bars[index].classList.toggle('chosen', count >= bin.from && count <= bin.to)
  }
  highlight(chosen)
  return highlight
}

const percent = (value) => (value < 0.01 ? '<1%' : `${Math.round(100 * value)}%`)

function axis(d3, svg, made, x, y) {
  d3.select(svg).append('g').attr('class', 'axis').attr('transform', `translate(${x},${y})`).call(made)
}

const ordinal = (value) => (value === 1 ? '1st' : `${number(value)}th`)

/** Figures as a small table: heads, and rows of texts or nodes. */
export function figures(place, heads, rows) {
  place.replaceChildren(
    make('table', { class: 'figures' },
      make('thead', {}, make('tr', {}, ...heads.map((head) => make('th', { scope: 'col' }, head)))),
      make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((cell) => make('td', {}, cell)))))))
}

/** The figures of both charts, for those who would rather read. */
export function tables(parts, items, language) {
  const bins = histogram(items)
  const all = bins.reduce((sum, bin) => sum + bin.sum, 0) || 1
  figures(parts['often-table'], ['Occurrences', 'Different words', 'Share of the text'],
    bins.map((bin) => [times(bin.from, bin.to), number(bin.words), share(bin.sum / all, all)]))
  const fit = fitted(items.map((item) => item.count))
  const ranks = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000].filter((rank) => rank <= items.length)
  figures(parts['rank-table'], ['Rank', 'Word', 'Count', 'Line'], ranks.map((rank) => [
    number(rank), bdi(items[rank - 1].word, 40, language), number(items[rank - 1].count), fit ? number(Math.round(fit.at(rank))) : '–',
  ]))
}

/** What the rank chart shows: parts, of which every second is a word of the page. */
export function rankText(items, fit = fitted(items.map((item) => item.count))) {
  if (!items.length) return ['No words.']
  const parts = ['“', visible(items[0].word, 40), `” comes first with ${number(items[0].count)}`]
  if (items.length >= 10) {
    parts[2] += '; “'
    parts.push(visible(items[9].word, 40), `” is tenth with ${number(items[9].count)}`)
  }
  parts[parts.length - 1] += fit
    ? `. The line has slope ${slope(fit)}; Zipf’s law says −1: the second word has half as many as the first, the third a third.`
    : '.'
  return parts
}

export function oftenText(items) {
  const [first, ...rest] = histogram(items)
  if (!first) return 'No words.'
  const total = items.length
  const once = first.words ? `${number(first.words)} of ${plural(total, 'different word')} ${first.words === 1 ? 'occurs' : 'occur'} once` : 'No word occurs just once'
  const last = rest.at(-1)
  return last ? `${once}; ${plural(last.words, 'word')} ${times(last.from, last.to)}.` : `${once}.`
}

function frame(place, height, name) {
  const width = Math.max(240, Math.floor(place.clientWidth || 480))
  const svg = makeSvg('svg', { role: 'img', 'aria-label': name, tabindex: 0, viewBox: `0 0 ${width} ${height}`, width, height })
  const readout = make('p', { class: 'readout', 'aria-live': 'polite' })
  place.replaceChildren(readout, svg)
  return { svg, width, readout }
}

/**
 * One value at a time, chosen by the pointer or by the arrow keys, said in the line above the chart.
 * @param {any} svg @param {HTMLElement} readout @param {Element[]} marks
 * @param {{say: (index: number) => (string | Node)[], nearest: (at: number) => number, open?: (index: number) => void, vertical?: boolean}} how
 */
function values(svg, readout, marks, { say, nearest, open, vertical = false }) {
  let current = -1
  const show = (index) => {
    marks[current]?.classList.remove('on')
    current = marks.length ? Math.max(-1, Math.min(marks.length - 1, index)) : -1
    marks[current]?.classList.add('on')
    readout.replaceChildren(...(current < 0 ? ['Hover or use the arrow keys to see values'] : say(current)))
  }
  show(-1)
  const point = (event) => {
    const box = svg.getBoundingClientRect()
    const at = vertical ? (event.clientY - box.top) / box.height : (event.clientX - box.left) / box.width
    show(Math.max(0, nearest(at * (vertical ? svg.viewBox.baseVal.height : svg.viewBox.baseVal.width))))
  }
  svg.addEventListener('pointermove', point)
  svg.addEventListener('pointerdown', point)
  svg.addEventListener('click', () => current >= 0 && open?.(current))
  svg.addEventListener('pointerleave', (event) => {
    if (event.pointerType !== 'touch') show(-1) // a finger leaves when it is lifted, to see what it pointed at
  })
  svg.addEventListener('blur', () => show(-1))
  svg.addEventListener('keydown', (event) => {
    const [on, back] = [current + 1, Math.max(0, current - 1)]
    const steps = { ArrowRight: on, ArrowDown: on, ArrowLeft: back, ArrowUp: back, Home: 0, End: marks.length - 1 }
    if (event.key === 'Escape' && current >= 0) show(-1)
    else if (event.key === 'Enter' && current >= 0) open?.(current)
    else if (event.key in steps) show(steps[event.key])
    else return
    event.preventDefault()
  })
}

function nearest(sorted, value) {
  let best = 0
  for (let index = 0; index < sorted.length; index++) {
    if (Math.abs(Math.log(sorted[index] / value)) < Math.abs(Math.log(sorted[best] / value))) best = index
  }
  return best
}
