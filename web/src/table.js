// All words: find, sort, pages. A page of rows is all that is ever in the document.
import { announce, make } from './dom.js'
import { number, plural, share, visible } from './say.js'
import { find } from './words.js'

const ROWS = 25

/** Wires the table's parts once; the returned update(chosen) shows other words, rows() gives all that are found. */
export function makeTable(element, parts, { language, fold, shareOf }) {
  const state = { sort: 'count', backwards: false, page: 0, text: '' }
  let chosen = null
  let found = []

  function update(next) {
    chosen = next
    search()
  }

  function search() {
    found = find(chosen, state.text, state)
    state.page = 0
    parts.found.textContent = state.text ? `${plural(found.length, 'word')} found` : ''
    show()
  }

  function show() {
    const first = state.page * ROWS
    const rows = Array.from(found.slice(first, first + ROWS), row)
    if (!rows.length) rows.push(make('tr', {}, make('td', { colspan: 4, class: 'quiet' }, empty())))
    parts.rows.replaceChildren(...rows)
    parts.pages.hidden = found.length <= ROWS
    parts.place.textContent = `${number(first + 1)}–${number(Math.min(first + ROWS, found.length))} of ${number(found.length)}`
    // Not disabled, which would lose the keyboard's place.
    parts.previous.setAttribute('aria-disabled', first === 0)
    parts.next.setAttribute('aria-disabled', first + ROWS >= found.length)
  }

  const empty = () => (state.text ? 'No word holds that.' : 'No words left to show.')

  function row(index) {
    const { word, count, stop } = chosen.list.items[index]
    return make('tr', {},
      make('td', { class: 'number quiet' }, number(chosen.ranks[index])),
      make('th', { scope: 'row' }, make('bdi', { lang: language }, visible(word)),
        ...(stop ? [' ', make('span', { class: 'tag' }, 'stop word')] : []),
        ...(word.length > 80 ? [' ', make('span', { class: 'tag' }, plural([...word].length, 'character'))] : [])),
      make('td', { class: 'number' }, number(count)),
      make('td', { class: 'number quiet' }, share(shareOf(count))))
  }

  function turn(by) {
    const page = state.page + by
    if (page < 0 || page * ROWS >= found.length) return
    state.page = page
    show()
    announce(parts.place.textContent)
    element.scrollIntoView({ block: 'nearest' })
  }

  parts.find.addEventListener('input', () => {
    state.text = fold(parts.find.value.normalize('NFC').trim())
    search()
  })
  parts.previous.addEventListener('click', () => turn(-1))
  parts.next.addEventListener('click', () => turn(1))
  const heads = element.querySelectorAll('[data-sort]')
  const markHeads = () => {
    for (const head of heads) {
      const natural = head.dataset.sort === 'count' ? 'descending' : 'ascending'
      const other = natural === 'ascending' ? 'descending' : 'ascending'
      if (head.dataset.sort === state.sort) head.setAttribute('aria-sort', state.backwards ? other : natural)
      else head.removeAttribute('aria-sort')
    }
  }
  for (const head of heads) {
    head.firstElementChild.addEventListener('click', () => {
      state.backwards = state.sort === head.dataset.sort && !state.backwards
      state.sort = head.dataset.sort
      markHeads()
      search()
    })
  }
  markHeads()
  return { update, rows: () => Array.from(found, (index) => chosen.list.items[index]) }
}
