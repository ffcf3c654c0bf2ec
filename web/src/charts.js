// The two charts of a page's frequencies. Each is an svg with a name, values by pointer and by arrow keys, and a table
// of the same figures beside it.
import { max } from 'd3-array'
import { scaleLinear, scaleLog } from 'd3-scale'
import { make, makeSvg, sentence } from './dom.js'
import { number, plural, short } from './say.js'
import { ranksToDraw } from './words.js'

const HEIGHT = 272
const MARGIN = { top: 34, right: 12, bottom: 52, left: 50 }

/** How many words occur once, twice, 3–4 times and so on. bins as words.histogram gives them. */
export function drawHistogram(place, bins) {
  const { svg, width, readout } = frame(place, `Word frequency histogram: ${summary(bins)}`)
  const right = Math.min(width - MARGIN.right, MARGIN.left + 90 * bins.length) // a few bins are no walls
  const step = (right - MARGIN.left) / bins.length
  const bandwidth = 0.88 * step
  const x = (index) => MARGIN.left + (index + 0.06) * step
  const y = scaleLinear([0, max(bins, (bin) => bin.words) || 1], [HEIGHT - MARGIN.bottom, MARGIN.top]).nice(4)
  const ticks = y.ticks(4).filter(Number.isInteger)
  svg.append(...ticks.map((tick) => leftTick(y(tick), short(tick), width)))
  const wide = bins.every((bin) => range(bin).length * 7 < step) // pixels of a digit
  const bars = bins.map((bin, index) => {
    const bar = makeSvg('g', { class: 'bin' })
    const middle = x(index) + bandwidth / 2
    bar.append(
      makeSvg('rect', { class: 'reach', x: x(index), width: bandwidth, y: MARGIN.top, height: HEIGHT - MARGIN.bottom - MARGIN.top }),
      makeSvg('rect', { class: 'bar', x: x(index), width: bandwidth, y: y(bin.words), height: y(0) - y(bin.words), rx: 1 }),
      makeSvg('text', { class: 'value', x: middle, y: y(bin.words) - 5, 'text-anchor': 'middle' }, bin.words ? short(bin.words) : ''),
    )
    if (wide || bin.from === bin.to) bar.append(bottomText(middle, range(bin)))
    else if (step > 28 || index % 2 === 0) bar.append(bottomText(middle, `${short(bin.from)}–`), bottomText(middle, short(bin.to), 13))
    return bar
  })
  svg.append(...bars, bottomLine(width), axisName(width, 'occurrences of a word', wide ? 0 : 13), heightName('distinct words'))
  values(svg, readout, bars, {
    say: (index) => [`${times(bins[index])}: ${plural(bins[index].words, 'word')}`],
    nearest: (at) => Math.floor((at - MARGIN.left) / step),
  })
}

/** Count by rank on log axes, with the line that Zipf's law draws through the first word. counts, highest first. */
export function drawRank(place, counts, wordAt, language) {
  const { svg, width, readout } = frame(place, `Frequency by rank: ${rankSummary(counts, wordAt).join('')}`)
  const most = counts[0] ?? 1
  const x = scaleLog([1, Math.max(counts.length, 10)], [MARGIN.left + 6, width - MARGIN.right - 6])
  const y = scaleLog([1, Math.max(most, 10)], [HEIGHT - MARGIN.bottom - 6, MARGIN.top])
  svg.append(
    ...powers(y).map((tick) => leftTick(y(tick), short(tick), width)),
    ...powers(x).map((tick) => bottomText(x(tick), short(tick))),
    bottomLine(width),
    axisName(width, 'rank'),
    heightName('count'),
  )
  const last = Math.min(most, x.domain()[1]) // where count = most / rank falls to one, or the axis ends
  svg.append(makeSvg('path', { class: 'zipf', d: `M${x(1)},${y(most)}L${x(last)},${y(most / last)}` }))
  const ranks = ranksToDraw(counts.length)
  const at = (rank) => [x(rank), y(counts[rank - 1])]
  if (ranks.length) svg.append(makeSvg('path', { class: 'curve', d: `M${ranks.map(at).join('L')}` }))
  const dots = ranks.map((rank) => makeSvg('circle', { class: 'dot', cx: at(rank)[0], cy: at(rank)[1], r: rank > 20 ? 1.6 : 2.6 }))
  svg.append(...dots)
  values(svg, readout, dots, {
    say: (index) => {
      const rank = ranks[index]
      return sentence([`Rank ${number(rank)}: `, wordAt(rank - 1), `, ${often(counts[rank - 1])}`], language)
    },
    nearest: (px) => nearestIndex(ranks, x.invert(px)),
  })
}

/** Figures as a small table: heads, and rows of texts or nodes. */
export function figures(place, heads, rows) {
  place.replaceChildren(
    make('table', { class: 'figures' },
      make('thead', {}, make('tr', {}, ...heads.map((head) => make('th', { scope: 'col' }, head)))),
      make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((cell) => make('td', {}, cell)))))),
  )
}

export const range = ({ from, to }) => (from === to ? number(from) : `${number(from)}–${number(to)}`)

export function times({ from, to }) {
  if (to === 1) return 'Once'
  return to === 2 ? 'Twice' : `${range({ from, to })} times`
}

const often = (count) => times({ from: count, to: count }).toLowerCase()

/** What the histogram shows, in words. */
export function summary(bins) {
  if (!bins.length) return 'no words'
  const total = bins.reduce((sum, bin) => sum + bin.words, 0)
  const last = bins.at(-1)
  const some = bins[0].words ? number(bins[0].words) : 'none'
  const once = `${some} of ${plural(total, 'distinct word')} ${bins[0].words < 2 ? 'occurs' : 'occur'} once`
  return last.to < 4 ? once : `${once}; ${plural(last.words, 'word')} ${range(last)} times`
}

/** What the curve shows, in words: parts, of which the second is a word of the page. */
export function rankSummary(counts, wordAt) {
  if (!counts.length) return ['No words']
  const tenth = counts.length > 10 ? `, the tenth ${often(counts[9])}` : ''
  const last = counts.length > 1 ? `, the last (rank ${number(counts.length)}) ${often(counts.at(-1))}` : ''
  return ['The first word, ', wordAt(0), `, occurs ${often(counts[0])}${tenth}${last}`]
}

function frame(place, name) {
  const width = Math.max(240, Math.floor(place.clientWidth || 480))
  const svg = makeSvg('svg', {
    role: 'img', 'aria-label': name, tabindex: 0, viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT,
  })
  const readout = make('p', { class: 'readout', 'aria-live': 'polite' })
  place.replaceChildren(readout, svg)
  return { svg, width, readout }
}

// One value at a time, chosen by the pointer or by the arrow keys, said in the line above the chart.
function values(svg, readout, marks, { say, nearest }) {
  const hint = 'Point, or use arrow keys, for values'
  let current = -1
  const show = (index) => {
    marks[current]?.classList.remove('on')
    current = marks.length ? Math.max(-1, Math.min(marks.length - 1, index)) : -1
    marks[current]?.classList.add('on')
    readout.replaceChildren(...(current < 0 ? [hint] : say(current)))
  }
  show(-1)
  const point = (event) => {
    const box = svg.getBoundingClientRect()
    show(Math.max(0, nearest(((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width)))
  }
  svg.addEventListener('pointermove', point)
  svg.addEventListener('pointerdown', point)
  svg.addEventListener('pointerleave', (event) => {
    if (event.pointerType !== 'touch') show(-1) // a finger leaves when it is lifted, to see what it pointed at
  })
  svg.addEventListener('blur', () => show(-1))
  svg.addEventListener('keydown', (event) => {
    const steps = { ArrowRight: current + 1, ArrowLeft: Math.max(0, current - 1), Home: 0, End: marks.length - 1, Escape: -1 }
    if (!(event.key in steps)) return
    event.preventDefault()
    show(steps[event.key])
  })
}

function nearestIndex(sorted, value) {
  let best = 0
  for (let index = 0; index < sorted.length; index++) {
    if (Math.abs(Math.log(sorted[index] / value)) < Math.abs(Math.log(sorted[best] / value))) best = index
  }
  return best
}

function powers(scale) {
  const [, most] = scale.domain()
  const ticks = []
  for (let power = 1; power <= most; power *= 10) {
    ticks.push(power)
    if (most < 200) ticks.push(2 * power, 5 * power)
  }
  return ticks.filter((tick) => tick <= most)
}

const leftTick = (y, text, width) =>
  makeSvg('g', { class: 'tick' },
    makeSvg('line', { x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }),
    makeSvg('text', { x: MARGIN.left - 7, y: y + 4, 'text-anchor': 'end' }, text))

const bottomText = (x, text, below = 0) =>
  makeSvg('text', { class: 'tick-text', x, y: HEIGHT - MARGIN.bottom + 16 + below, 'text-anchor': 'middle' }, text)

const bottomLine = (width) =>
  makeSvg('line', { class: 'base', x1: MARGIN.left, x2: width - MARGIN.right, y1: HEIGHT - MARGIN.bottom, y2: HEIGHT - MARGIN.bottom })

const axisName = (width, text, below = 0) =>
  makeSvg('text', { class: 'name', x: width - MARGIN.right, y: HEIGHT - 18 + below, 'text-anchor': 'end' }, text)

const heightName = (text) => makeSvg('text', { class: 'name', x: 0, y: 11 }, text)

// What the style sheet gives an svg, written into a copy of it, so that the file looks the same alone.
const CARRIED = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'font-family', 'font-size', 'font-weight', 'opacity']

const BORDER = 16 // pixels of paper around a file's chart

/** The svg as the text of a file of its own. */
export function svgFile(svg) {
  const copy = svg.cloneNode(true)
  const originals = svg.querySelectorAll('*')
  copy.querySelectorAll('*').forEach((element, index) => {
    const style = getComputedStyle(originals[index])
    for (const name of CARRIED) {
      const value = style.getPropertyValue(name) // none where the svg was never in the document: it has its own
      if (value) element.setAttribute(name, value)
    }
    element.removeAttribute('class')
  })
  copy.removeAttribute('tabindex')
  const [width, height] = ['width', 'height'].map((name) => Number(svg.getAttribute(name)) + 2 * BORDER)
  const box = { x: -BORDER, y: -BORDER, width, height }
  for (const [name, value] of Object.entries({ width, height, viewBox: Object.values(box).join(' ') })) copy.setAttribute(name, value)
  copy.prepend(makeSvg('rect', { ...box, fill: getComputedStyle(document.body).backgroundColor }))
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}\n`
}
