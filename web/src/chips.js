// The chips above the list: what is shown of the words. They show the state and ask for another; they keep none.
import { bdi, button } from './dom.js'
import { number } from './say.js'
import { emptyState, readList } from './state.js'

const MOST_NAMED = 60 // common words of the page, to be taken out

/** change(patch) asks for another state. Returns show({state, items, named, language}). */
export function wireChips(parts, { change }) {
  let state = emptyState()
  parts.common.addEventListener('change', () => change({ common: !parts.common.checked }))
  parts.fold.addEventListener('change', () => change({ fold: parts.fold.checked }))
  parts.min.addEventListener('input', () => change({ min: Math.max(1, Math.floor(Number(parts.min.value)) || 1) }))
  parts.n.addEventListener('change', () => change({ n: Number(parts.n.value), word: '' }))
  parts.find.addEventListener('input', () => change({ find: parts.find.value }))
  parts['own-form'].addEventListener('submit', (event) => {
    event.preventDefault()
    const words = readList(parts.own.value)
    parts.own.value = ''
    if (words.length) change({ add: readList([...state.add, ...words].join(' ')), remove: state.remove.filter((word) => !words.includes(word)) })
  })

  const toggle = (word, pressed, act, note) => {
    const made = button('word', act, bdi(word, 30), note)
    made.setAttribute('aria-pressed', String(pressed))
    return made
  }
  const without = (words, word) => words.filter((one) => one !== word)

  return function show({ state: next, items, named, several }) {
    state = next
    const stops = items.filter((item) => item.stop && !state.add.includes(item.word))
    const usable = Boolean(named || state.add.length || stops.length)
    parts.common.checked = !state.common && usable
    parts.common.disabled = !usable
    parts.fold.checked = state.fold
    if (Number(parts.min.value) !== state.min || !parts.min.value) parts.min.value = state.min
    parts.n.value = String(state.n)
    parts.n.closest('label').hidden = several
    if (parts.find.value !== state.find) parts.find.value = state.find
    parts.named.textContent = named ? 'Common words on this page. Press one to count it as a word like others.' : 'We have no list of common words for this language. Add your own.'
    const focused = document.activeElement?.textContent
    parts.stops.replaceChildren(
      ...state.add.map((word) => toggle(word, true, () => change({ add: without(state.add, word) }), ' ✕')),
      ...state.remove.map((word) => toggle(word, false, () => change({ remove: without(state.remove, word) }), '')),
      ...stops.slice(0, MOST_NAMED).map(({ word, count }) =>
        toggle(word, true, () => change({ remove: [...state.remove, word] }), ` ${number(count)}`)))
    if (focused) [...parts.stops.children].find((button) => button.textContent === focused)?.focus()
  }
}

/** Menus close with Escape, with a press elsewhere, and when the keyboard leaves them. */
export function wireMenus(element, signal) {
  const close = (menu, back) => {
    if (!menu.open) return
    menu.open = false
    if (back) menu.querySelector('summary').focus()
  }
  for (const menu of element.querySelectorAll('details.menu')) {
    menu.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return
      event.stopPropagation()
      close(menu, true)
    })
    menu.addEventListener('focusout', ({ relatedTarget }) => relatedTarget && !menu.contains(relatedTarget) && close(menu))
  }
  document.addEventListener('click', ({ target }) => {
    for (const menu of element.querySelectorAll('details.menu[open]')) if (target instanceof Node && !menu.contains(target) && target.isConnected) close(menu)
  }, { signal })
}
