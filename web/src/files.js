// Files that the reader takes along: tables, and pictures that carry their title, address, date and legend. A picture
// is an svg of plain shapes; the png is drawn from the same shapes, since the page's policy lets no image be made up.
import { download, makeSvg } from './dom.js'
import { number, share, visible } from './say.js'
import { toCsv } from './words.js'

const BOM = '\ufeff' // without it a spreadsheet takes UTF-8 for Latin
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif'
const WIDTH = 760
const EDGE = 28
const RULER = /** @type {CanvasRenderingContext2D} */ (document.createElement('canvas').getContext('2d'))
const CARRIED = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'font-size', 'font-weight', 'opacity', 'text-anchor', 'display']

export const saveCsv = (name, rows) => download(`${name}.csv`, 'text/csv', BOM + toCsv(rows))
export const saveJson = (name, content) => download(`${name}.json`, 'application/json', `${JSON.stringify(content, null, 1)}\n`)

/** Saves a picture as 'svg' or 'png'. about: {title, address, date, note, hollow: whether the legend names common words}. */
export async function savePicture(kind, name, content, about) {
  const svg = framed(content, about)
  if (kind === 'svg') {
    const text = new XMLSerializer().serializeToString(svg)
    return download(`${name}.svg`, 'image/svg+xml', `<?xml version="1.0" encoding="UTF-8"?>\n${text}\n`)
  }
  const [width, height] = ['width', 'height'].map((side) => Number(svg.getAttribute(side)))
  const canvas = document.createElement('canvas')
  canvas.width = 2 * width
  canvas.height = 2 * height
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'))
  pen.scale(2, 2)
  paint(pen, svg)
  return download(`${name}.png`, 'image/png', await new Promise((done) => canvas.toBlob(done, 'image/png')))
}

/** The most frequent of the words shown as bars, in a picture's shapes. rows: {word, count, share, stop_word}. */
export function barsPicture(rows, all) {
  const [line, room, right] = [26, 190, 120]
  const width = WIDTH - 2 * EDGE
  const most = rows[0]?.count ?? 1
  const { ink, data, paper, quiet } = colours()
  const svg = makeSvg('svg', { width, height: rows.length * line })
  rows.forEach((row, at) => {
    const y = at * line
    const size = Math.max(1, ((width - room - right) * row.count) / most)
    const look = row.stop_word ? { fill: paper, stroke: quiet, 'stroke-width': 1.5 } : { fill: data }
    const text = { fill: ink, 'font-size': 14, y: y + 17 }
    svg.append(
      makeSvg('text', { ...text, x: room - 10, 'text-anchor': 'end' }, visible(row.word, 22)),
      makeSvg('rect', { x: room, y: y + 4, width: size, height: line - 9, ...look }),
      makeSvg('text', { ...text, x: room + size + 8 }, `${number(row.count)} · ${share(row.share, all)}`))
  })
  return svg
}

/** Two pages' words to either side, each with its bar, in a picture's shapes. rows as compare.js has them. */
export function comparedPicture(rows) {
  const [line, room, longest, middle] = [26, 85, 170, WIDTH / 2 - EDGE]
  const { ink, data, other, quiet } = colours()
  const svg = makeSvg('svg', { width: 2 * middle, height: rows.length * line })
  rows.forEach(({ word, mine, said, counts, size }, at) => {
    const [y, side, length] = [at * line, mine ? -1 : 1, size * longest]
    const text = (x, anchor, fill, content) => makeSvg('text', { x, y: y + 17, fill, 'font-size': 14, 'text-anchor': anchor }, content)
    svg.append(
      text(middle, 'middle', ink, visible(word, 20)),
      makeSvg('rect', { x: middle + side * room - (mine ? length : 0), y: y + 4, width: length, height: line - 9, fill: mine ? data : other }),
      text(middle + side * (room + length + 8), mine ? 'end' : 'start', ink, said),
      text(middle - side * room, mine ? 'start' : 'end', quiet, counts))
  })
  return svg
}

function colours() {
  const style = getComputedStyle(document.body)
  const value = (name) => style.getPropertyValue(`--${name}`).trim()
  return { ink: value('ink'), data: value('data'), quiet: value('quiet'), paper: value('card'), other: value('other') }
}

/** The content with what says of what it is, in colours of its own: it looks the same anywhere. */
function framed(content, { title, address, date, note, hollow }) {
  const { ink, quiet, paper, data } = colours()
  const [wide, high] = ['width', 'height'].map((side) => Number(content.getAttribute(side)))
  const width = Math.max(WIDTH, wide + 2 * EDGE)
  const lines = [
    [20, ink, 700, title],
    [13, quiet, 400, [address, date].filter(Boolean).join(' · ')],
    [13, quiet, 400, note],
  ]
  let y = EDGE
  const texts = lines.flatMap(([size, fill, weight, said]) => wrapped(said, `${weight} ${size}px ${FONT}`, width - 2 * EDGE).map((text) => {
    y += size * 1.4
    return makeSvg('text', { x: EDGE, y, fill, 'font-size': size, 'font-weight': weight }, text)
  }))
  const top = y + 18
  const legend = hollow ? 26 : 0
  const height = top + high + legend + EDGE
  const svg = makeSvg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, 'font-family': FONT, role: 'img', 'aria-label': title })
  svg.append(makeSvg('rect', { width, height, fill: paper }), ...texts, makeSvg('g', { transform: `translate(${EDGE},${top})` }, ...plain(content)))
  if (hollow) {
    const base = top + high + 18
    svg.append(
      makeSvg('rect', { x: EDGE, y: base - 10, width: 20, height: 11, fill: data }), makeSvg('text', { x: EDGE + 27, y: base, fill: quiet, 'font-size': 13 }, 'words'),
      makeSvg('rect', { x: EDGE + 90, y: base - 10, width: 20, height: 11, fill: paper, stroke: quiet, 'stroke-width': 1.5 }),
      makeSvg('text', { x: EDGE + 117, y: base, fill: quiet, 'font-size': 13 }, 'common words'))
  }
  return svg
}

/** Three lines at most of the text, each no wider than the room; a long word or one of a script without spaces is broken. */
function wrapped(text, font, room) {
  RULER.font = font
  const lines = []
  for (let rest = visible(text ?? '', 300); rest && lines.length < 3;) {
    let end = rest.length
    while (end > 1 && RULER.measureText(rest.slice(0, end)).width > room) end = Math.max(rest.lastIndexOf(' ', end - 1), 0) || end - 1
    lines.push(rest.slice(0, end))
    rest = rest.slice(end).trimStart()
  }
  return lines
}

// A chart's shapes with what the style sheet gives them written into them.
function plain(svg) {
  const copy = svg.cloneNode(true)
  const originals = svg.querySelectorAll('*')
  copy.querySelectorAll('*').forEach((element, at) => {
    const style = svg.isConnected ? getComputedStyle(originals[at]) : null
    for (const name of CARRIED) {
      const value = style?.getPropertyValue(name)
      if (value) element.setAttribute(name, value)
    }
    for (const name of ['class', 'style', 'tabindex']) element.removeAttribute(name)
  })
  return [...copy.childNodes]
}

/** Draws an svg of rect, circle, line, path and text, with translated groups, on a canvas. */
function paint(pen, element) {
  const at = (name) => Number(element.getAttribute(name) ?? 0)
  const value = (name) => element.closest(`[${name}]`)?.getAttribute(name)
  if (element.getAttribute('display') === 'none') return
  pen.save()
  const moved = /translate\(([-\d.]+)[, ]+([-\d.]+)\)/.exec(element.getAttribute('transform') ?? '')
  if (moved) pen.translate(Number(moved[1]), Number(moved[2]))
  pen.globalAlpha *= Number(element.getAttribute('opacity') ?? 1)
  const shape = shapeOf(element, at)
  if (shape) {
    const [fill, stroke] = [value('fill') ?? '#000', value('stroke') ?? 'none']
    pen.lineWidth = Number.parseFloat(value('stroke-width') ?? '1')
    const dashes = value('stroke-dasharray')
    pen.setLineDash(dashes && dashes !== 'none' ? dashes.split(/[ ,]+/).map(Number.parseFloat) : [])
    Object.assign(pen, { fillStyle: fill, strokeStyle: stroke })
    if (fill !== 'none') pen.fill(shape)
    if (stroke !== 'none') pen.stroke(shape)
  } else if (element.localName === 'text') {
    pen.fillStyle = value('fill') ?? '#000'
    pen.font = `${value('font-weight') ?? 400} ${Number.parseFloat(value('font-size') ?? '12')}px ${FONT}`
    pen.textAlign = { end: 'right', middle: 'center' }[value('text-anchor')] ?? 'left'
    const em = Number.parseFloat(element.getAttribute('dy') ?? '0') * Number.parseFloat(value('font-size') ?? '12')
    pen.fillText(element.textContent, at('x'), at('y') + em)
  }
  for (const child of element.children) paint(pen, child)
  pen.restore()
}

function shapeOf(element, at) {
  const shape = new Path2D(element.localName === 'path' ? (element.getAttribute('d') ?? '') : '')
  if (element.localName === 'rect') shape.rect(at('x'), at('y'), at('width'), at('height'))
  else if (element.localName === 'circle') shape.arc(at('cx'), at('cy'), at('r'), 0, 2 * Math.PI)
  else if (element.localName === 'line') {
    shape.moveTo(at('x1'), at('y1'))
    shape.lineTo(at('x2'), at('y2'))
  } else if (element.localName !== 'path') return null
  return shape
}
