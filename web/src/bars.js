// The most frequent words as bars with a zero baseline, count and share beside each: a table that looks like a chart.
import { make, makeSvg } from './dom.js'
import { number, share, visible } from './say.js'

/** rows [{word, count, share, stop_word}], most frequent first; the legend is shown where there are stop words. */
export function drawBars(body, legend, rows, language) {
  legend.hidden = !rows.some((row) => row.stop_word)
  if (!rows.length) {
    body.replaceChildren(make('tr', {}, make('td', { colspan: 4, class: 'quiet' }, 'No words left to show.')))
    return
  }
  const most = rows[0].count
  body.replaceChildren(
    ...rows.map((row) => {
      const bar = make('span', { class: row.stop_word ? 'fill stop' : 'fill' })
      bar.style.inlineSize = `${(100 * row.count) / most}%`
      return make('tr', {},
        make('th', { scope: 'row' }, make('bdi', { lang: language }, visible(row.word, 40))),
        make('td', { class: 'bar', 'aria-hidden': 'true' }, bar),
        make('td', { class: 'number' }, number(row.count)),
        make('td', { class: 'number quiet' }, share(row.share), ...(row.stop_word ? [make('span', { class: 'unseen' }, ', stop word')] : [])))
    }),
  )
}

/** The same bars as an svg, to be kept as a file. */
export function barsSvg(rows) {
  const [width, line, room] = [640, 26, 110]
  const most = rows[0]?.count ?? 1
  const style = getComputedStyle(document.body)
  const named = rows.map((row) => visible(row.word, 20))
  const ruler = document.createElement('canvas').getContext('2d')
  ruler.font = `14px ${style.fontFamily}`
  const words = 10 + Math.ceil(Math.max(0, ...named.map((name) => ruler.measureText(name).width)))
  const [ink, fill, stop] = ['--ink', '--data', '--stop'].map((name) => style.getPropertyValue(name).trim())
  const height = rows.length * line + 16
  const text = { fill: ink, 'font-family': style.fontFamily, 'font-size': 14 }
  return makeSvg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': 'Most frequent words' },
    ...rows.flatMap((row, index) => {
      const y = 8 + index * line
      const size = ((width - words - room) * row.count) / most
      return [
        makeSvg('text', { ...text, x: words - 10, y: y + 18, 'text-anchor': 'end' }, named[index]),
        makeSvg('rect', { x: words, y: y + 4, width: size, height: line - 8, fill: row.stop_word ? stop : fill }),
        makeSvg('text', { ...text, x: words + size + 8, y: y + 18 }, `${number(row.count)} · ${share(row.share)}`),
      ]
    }))
}
