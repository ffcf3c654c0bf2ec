// All words as one list that is chart, table and menu at once. However many there are, only those in view are in the
// document; the keyboard stays on the list itself, which names the active row.
import { bdi, make, makeSvg } from './dom.js'
import { number, plural, share } from './say.js'

const SPARE = 6 // rows above and below those in view
const AHEAD = 60 // rows whose strips are asked for at once: those that are printed too
const PARTS = 40 // of the page, in the strip of a row

/**
 * rows(place) gives {item, rank} of the shown list; open(item, {keyboard}) is called with a click or Enter.
 * wanted(items) may fetch what strips need: it hears which words are in view and calls strips(map) later.
 * @param {Record<string, any>} parts
 * @param {{language?: string, open: (item: any, how: object) => void, wanted: (items: any[]) => void}} how
 */
export function makeList(parts, { language, open, wanted }) {
  const { scroller, table, 'body-rows': body } = parts
  /** @type {any} */
  let [indexes, list, ranks, all, most, pages] = [[], null, null, 1, 1, null]
  let [active, chosen, rowHeight] = [-1, '', 36]
  let rows = new Map()
  let printing = false // rows are set by hand, and the list is as high as they are
  let strips = new Map()
  const [top, bottom] = [0, 1].map(() => make('tr', { 'aria-hidden': 'true', class: 'spacer' }, make('td', { colspan: 3 })))

  const itemAt = (place) => list.items[indexes[place]]
  const idOf = (place) => `${table.id}-${place}`

  /** Shows other words: indexes of the list in their order. */
  function show(next) {
    ;({ indexes, list, ranks, all, pages } = next)
    most = indexes.reduce((sum, index) => Math.max(sum, list.items[index].count), 1)
    table.setAttribute('aria-rowcount', indexes.length + 1)
    rows = new Map()
    active = Math.min(active, indexes.length - 1)
    if (chosen) active = Math.max(active, -1)
    scroller.scrollTop = Math.min(scroller.scrollTop, indexes.length * rowHeight)
    draw(true)
  }

  function draw(anew = false) {
    if (printing) return
    const height = scroller.clientHeight || 600
    const first = Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - SPARE)
    const last = Math.min(indexes.length, Math.ceil((scroller.scrollTop + height) / rowHeight) + SPARE)
    const kept = new Map()
    for (let place = first; place < last; place++) kept.set(place, (!anew && rows.get(place)) || row(place))
    rows = kept
    lay(first, indexes.length - last)
    if (!indexes.length) body.replaceChildren(make('tr', {}, make('td', { colspan: 4, class: 'quiet nothing' }, parts.empty())))
    measure(kept.get(first))
    mark()
    if (pages) return
    const unknown = [...kept.keys()].some((place) => !strips.has(itemAt(place).word))
    if (unknown) wanted(Array.from(indexes.slice(first, first + AHEAD), (index) => list.items[index]).filter((item) => !strips.has(item.word)))
  }

  // Rows that stay are not touched: one that is taken out and put back between press and release hears no click.
  function lay(above, below) {
    if (top.parentNode !== body) body.replaceChildren(top, bottom)
    size(top, above)
    size(bottom, below)
    const stay = new Set(rows.values())
    for (const line of [...body.children]) if (line !== top && line !== bottom && !stay.has(line)) line.remove()
    let next = top.nextSibling
    for (const line of stay) {
      if (line === next) next = next.nextSibling
      else body.insertBefore(line, next)
    }
  }

  // Rows are as high as the reader's letters make them.
  function measure(one) {
    const height = one?.offsetHeight
    if (!height || Math.abs(height - rowHeight) < 0.5) return
    rowHeight = height
    draw()
  }

  const size = (line, count) => {
    line.firstChild.style.blockSize = `${count * rowHeight}px`
    line.hidden = !count
  }

  function row(place) {
    const item = itemAt(place)
    const bar = make('span', { class: item.stop ? 'fill common' : 'fill' })
    bar.style.inlineSize = `${(100 * item.count) / most}%`
    const line = make('tr', { id: idOf(place), 'aria-rowindex': place + 2 },
      make('td', { class: 'number quiet rank' }, number(ranks[indexes[place]])),
      make('th', { scope: 'row' }, bdi(item.word, 60, language),
        ...(item.stop ? [make('span', { class: 'unseen' }, ' (common word)')] : []),
        ...(item.word.length > 60 ? [make('span', { class: 'tag' }, plural([...item.word].length, 'character'))] : [])),
      make('td', { class: 'bar', 'aria-hidden': 'true' }, bar),
      make('td', { class: 'number' }, number(item.count)),
      make('td', { class: 'number quiet share' }, share(item.count / all, all)),
      make('td', { class: 'where' }, ...strip(item)))
    line.dataset.place = place
    return line
  }

  /** Where on the page the word is, as a line of small bars; of several pages, a bar for each. */
  function strip(item) {
    // Of pages by share: a long page would have the highest bar of every word.
    const values = item.counts?.map((count, at) => count / (pages?.[at] || 1)) ?? strips.get(item.word)
    if (item.documents) return [number(item.documents)]
    if (!values) return []
    const name = item.counts ? make('span', { class: 'unseen' }, `on ${plural(values.filter(Boolean).length, 'page')}`) : ''
    return [stripSvg(values, item.counts ? 6 : 2), name]
  }

  /** Marks the active and the chosen row. */
  function mark() {
    for (const [place, line] of rows) {
      line.classList.toggle('active', place === active)
      const isChosen = itemAt(place).word === chosen
      line.classList.toggle('chosen', isChosen)
      if (isChosen) line.setAttribute('aria-selected', 'true')
      else line.removeAttribute('aria-selected')
    }
    if (rows.has(active)) table.setAttribute('aria-activedescendant', idOf(active))
    else table.removeAttribute('aria-activedescendant')
  }

  function move(to) {
    active = Math.max(0, Math.min(indexes.length - 1, to))
    const [upper, lower] = [active * rowHeight, (active + 1) * rowHeight]
    const head = parts.head.offsetHeight
    if (upper < scroller.scrollTop) scroller.scrollTop = upper
    else if (lower > scroller.scrollTop + scroller.clientHeight - head) scroller.scrollTop = lower - scroller.clientHeight + head
    draw()
  }

  table.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== table) return
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight) - 2)
    const steps = {
      ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: indexes.length - 1,
    }
    if (event.key in steps) move(steps[event.key])
    else if (event.key === 'Enter' || event.key === ' ') {
      if (active < 0 || active >= indexes.length) return
      open(itemAt(active), { keyboard: true })
    } else return
    event.preventDefault()
  })
  table.addEventListener('focus', () => {
    if (active < 0) move(Math.max(0, Math.round(scroller.scrollTop / rowHeight)))
  })
  body.addEventListener('click', (event) => {
    const line = event.target.closest('tr[data-place]')
    const marked = getSelection()
    if (!line || (marked?.type === 'Range' && body.contains(marked.anchorNode))) return
    active = Number(line.dataset.place)
    open(itemAt(active), { keyboard: false })
    mark()
  })
  scroller.addEventListener('scroll', () => draw(), { passive: true })
  new ResizeObserver(() => draw()).observe(scroller)

  return {
    show,
    /** Marks the word whose contexts are shown. */
    choose(word) {
      chosen = word
      mark()
    },
    focus: () => table.focus(),
    /** Opens the row that the keyboard is on, which stays there. */
    openActive() {
      if (active >= 0 && active < indexes.length) open(itemAt(active), {})
    },
    /** Draws the strips that came: a map from words to how often each is in each part of the page. */
    strips(found) {
      for (const [word, values] of found) strips.set(word, values)
      for (const [place, line] of rows) {
        if (found.has(itemAt(place).word)) line.querySelector('.where').replaceChildren(...strip(itemAt(place)))
      }
    },
    forgetStrips: () => (strips = new Map()),
    /** Shows so many rows for the printer, and those in view again. */
    print(many) {
      printing = many > 0
      if (!many) return draw(true)
      body.replaceChildren(...Array.from({ length: Math.min(many, indexes.length) }, (_, place) => row(place)))
    },
  }
}

/** Values as bars side by side, the largest as high as there is room. */
export function stripSvg(values, gap = 2, height = 20) {
  const wide = values.length > 12 ? 3 : 8
  const highest = Math.max(...values) || 1
  const bars = values.map((value, at) =>
    value ? `M${at * (wide + (gap > 2 ? 2 : 0))},${height}v${-Math.max(3, (value / highest) * (height - 1))}h${wide - 1}V${height}z` : '')
  const width = values.length * (wide + (gap > 2 ? 2 : 0))
  return makeSvg('svg', { class: 'strip', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: gap > 2 ? 'xMinYMax meet' : 'none', 'aria-hidden': 'true' },
    makeSvg('path', { class: 'ground', d: `M0,${height - 0.5}H${width}` }), makeSvg('path', { d: bars.join('') }))
}

export { PARTS }
