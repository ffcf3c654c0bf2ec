// Small helpers over the DOM. Text goes in by textContent only, styles through the CSSOM only (the policy forbids both
// others).
import { visible } from './say.js'

/** An element of the shell. @type {(id: string) => any} */
export const byId = (id) => document.getElementById(id)

/** A copy of the template with that id: its first element, and its parts by their data-is names. */
export function fromTemplate(id) {
  const element = byId(id).content.firstElementChild.cloneNode(true)
  /** @type {Record<string, any>} */
  const parts = {}
  for (const part of element.querySelectorAll('[data-is]')) parts[part.dataset.is] = part
  return { element, parts }
}

/** An element with attributes (null leaves one out) and children: elements or texts. */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children)
}

export function makeSvg(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children)
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value != null) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/** A text from outside, of whatever direction: what cannot be seen in it is spelt out, and it is cut after so many characters. */
export const bdi = (text, longest = 200, lang = /** @type {string | undefined} */ (undefined)) => make('bdi', { lang }, visible(text, longest))

/** A link to another view. */
export const routed = (href, ...children) => make('a', { href, 'data-route': '' }, ...children)

/** A button of that look. */
export function button(look, act, ...children) {
  const made = make('button', { type: 'button', class: look }, ...children)
  made.addEventListener('click', act)
  return made
}

/** The address as a link where it is one of the web's, else as text. */
export function addressNode(address) {
  const shown = bdi(address ?? '', 300)
  return /^https?:\/\//.test(address ?? '') ? make('a', { href: address, rel: 'noreferrer nofollow' }, shown) : shown
}

/** In a field of several lines Enter sends the form, and Shift+Enter starts a new line. */
export function sendByEnter(field) {
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    field.form.requestSubmit()
  })
}

/** Says it to a screen reader, without moving anybody's focus. */
export function announce(text) {
  byId('announce').textContent = text
}

/** A button that asks once more before it does what cannot be undone. */
export function confirmed(button, question, act) {
  const label = button.textContent
  const name = button.getAttribute('aria-label')
  let asking = false
  const show = (text) => {
    button.textContent = text
    if (name) button.setAttribute('aria-label', text === label ? name : `${text} ${name}`)
  }
  const rest = () => {
    asking = false
    show(label)
    button.classList.remove('danger')
  }
  button.addEventListener('blur', rest)
  button.addEventListener('click', () => {
    if (asking) {
      rest()
      act()
      return
    }
    asking = true
    show(question)
    button.classList.add('danger')
    announce(question)
  })
}

/**
 * Waits until nothing has called it for so many milliseconds, then acts once.
 * @template {any[]} T @param {number} milliseconds @param {(...given: T) => unknown} act @returns {(...given: T) => void}
 */
export function calm(milliseconds, act) {
  let timer = 0
  return (...given) => {
    clearTimeout(timer)
    timer = setTimeout(() => act(...given), milliseconds)
  }
}

/** A time in which the browser has nothing better to do. */
export const pause = () => new Promise((done) => ('requestIdleCallback' in window ? requestIdleCallback(done) : setTimeout(done)))

/** Hands the reader a file made here. */
export function download(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }))
  const link = make('a', { href: url, download: name })
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
