// One word: where it is, its forms, its neighbours, and the lines around it. All of it is asked of the API. Beside the
// list on a wide screen, a sheet from below on a narrow one.
import { jobAddress } from './api.js'
import { said } from './advice.js'
import { announce, bdi, button, make, routed } from './dom.js'
import { contextsOf, phrasesOf, placesOf, textOf } from './evidence.js'
import { stripSvg } from './list.js'
import { number, plural, searchKey, share, visible } from './say.js'

const AROUND = 900 // characters of a paragraph, with some before
const PAGES = 10 // of several, whose lines are shown
const LINES = 25 // contexts asked for at once
const SPOTS = 10_000 // places of a phrase in the strip
const PARTS = 100 // of the page, in the strip
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/ // Hebrew, Arabic and their like
const NARROW = matchMedia('(max-width: 56rem)')

/**
 * shown() gives what the panel needs to know of the view: {id, fold, all}; pages(item) of several pages {id, title, count} of each; hide(word) hides it as common; onClose()
 * is called when the reader is done with it, focusList() where the keyboard came from nowhere.
 */
export function makeInspector(parts, { language, shown, pages, hide, onClose, focusList, signal }) {
  const { inspector } = parts
  let leave = new AbortController()
  /** @type {import('./words.js').Item | null} */
  let current = null
  let opened = '' // what is shown of it
  /** @type {any} */
  let from = null // where the keyboard was before
  const neighbours = new Map() // by state of the case, what the API says of pairs of words

  function close() {
    leave.abort()
    current = null
    if (inspector.open) inspector.close()
    else inspector.removeAttribute('open')
  }

  /** Shows a word of the list; with the keyboard, the keyboard goes there too. */
  async function open(item, rank, { keyboard = false, quiet = false } = {}) {
    const { id, all, fold, corpus } = shown()
    if (!quiet && !inspector.contains(document.activeElement)) from = document.activeElement
    const asked = [id, fold, item.count, item.stop, item.word].join()
    if (current && asked === opened) return unfold({ keyboard, quiet }) // not again: a line may be unfolded by now
    leave.abort()
    leave = new AbortController()
    signal.addEventListener('abort', () => leave.abort(), { once: true })
    current = item
    opened = asked
    parts['inspector-title'].replaceChildren(bdi(item.word, 200, language))
    const facts = [plural(item.count, 'time'), ...(rank ? [`rank ${number(rank)}`] : []), share(item.count / all, all)]
    parts.about.textContent = item.count ? facts.join(' · ') : ''
    parts.hide.hidden = Boolean(item.phrase)
    parts.hide.textContent = item.stop ? 'Don’t treat as common' : 'Hide as common'
    for (const name of ['forms', 'near', 'problem']) parts[name].replaceChildren()
    if (corpus) {
      parts.lines.replaceChildren()
      parts.more.hidden = true
      parts.problem.textContent = 'Looking…' // through the documents, which may take a while
    }
    parts.lines.setAttribute('aria-busy', 'true')
    parts.lines.inert = true // those of the word before, until its own have come
    unfold({ keyboard, quiet })
    try {
      // The lines first: they are what is waited for, and the rest would share a small server with them.
      const { signal } = leave
      const several = pages(item)
      parts.strip.hidden = parts.strip.nextElementSibling.hidden = several.length > 0 || Boolean(corpus)
      if (several.length) await ofPages(several, item, signal)
      else {
        await lines(id, item, 0, signal)
        if (!corpus) await Promise.all([places(id, item, signal), near(id, item, signal)])
      }
    } catch (error) {
      if (error.name === 'AbortError') return
      opened = ''
      tell(error)
    }
    parts.lines.removeAttribute('aria-busy')
  }

  function unfold({ keyboard, quiet }) {
    if (NARROW.matches && !quiet) {
      if (!inspector.matches(':modal')) {
        inspector.removeAttribute('open')
        inspector.showModal()
      }
    } else if (!NARROW.matches) inspector.setAttribute('open', '')
    if (keyboard) parts['inspector-title'].focus()
    if (inspector.matches(':modal')) inspector.scrollTop = 0
  }

  function empty() {
    parts.lines.replaceChildren()
    parts.lines.inert = false
  }

  function tell(error) {
    const kept = error.type !== 'text-not-kept'
    empty()
    parts.problem.textContent = kept ? said(error) : 'The text of this page was not kept, so there are no lines to show.'
    parts.more.hidden = true
  }

  async function lines(id, item, offset, signal) {
    const { fold } = shown()
    const found = await contextsOf(id, item, { signal, limit: LINES, offset, window: 12, case: fold ? 'fold' : 'keep' })
    if (!offset) empty()
    parts.problem.textContent = ''
    if (!item.count) parts.about.textContent = plural(found.total, 'time')
    for (const context of found.contexts) {
      if (context.document) heading(context.document)
      parts.lines.append(line(context.document?.id ?? id, context))
    }
    const got = offset + found.contexts.length
    parts.more.hidden = got >= found.total
    parts.more.textContent = `Show more (${number(got)} of ${number(found.total)})`
    parts.more.onclick = async () => {
      const before = parts.lines.children.length
      await lines(id, item, got, leave.signal).catch(tell)
      parts.lines.children[before]?.querySelector('a, button')?.focus()
    }
    if (!offset && !found.total) parts.problem.textContent = 'This is not in the text.'
  }

  /** Of several pages some lines of each that has the word, below its name; those with most of it first. */
  async function ofPages(all, item, signal) {
    const having = item.phrase ? all : all.filter((page) => page.count).sort((a, b) => b.count - a.count) // of a phrase nobody knows yet
    const { fold } = shown()
    empty()
    parts.more.hidden = true
    let [named, times] = [0, 0]
    for (const { id, title, count } of having) {
      if (named === PAGES) break
      const found = await contextsOf(id, item, { signal, limit: 5, window: 12, case: fold ? 'fold' : 'keep' }).catch((error) => {
        if (error.name === 'AbortError' || error.type !== 'text-not-kept') throw error
        return { contexts: [], total: 0 }
      })
      if (item.phrase && !found.total) continue
      named += 1
      times += found.total
      heading({ id, title, note: number(count || found.total) })
      parts.lines.append(...found.contexts.map((context) => line(id, context)))
    }
    if (item.phrase) parts.about.textContent = named < PAGES ? plural(times, 'time') : `On the first ${PAGES} pages that have it`
    else if (having.length > PAGES) parts.problem.textContent = `And on ${plural(having.length - PAGES, 'more page')}.`
    if (!named) parts.problem.textContent = 'This is not in the text.'
  }

  /** The page that the lines below are of, where it is another than that of the line above. */
  function heading({ id, title, url = '', key = '', note = '' }) {
    const address = jobAddress(id)
    if ([...parts.lines.querySelectorAll('.of-page a')].at(-1)?.href === address) return
    const link = routed(address, bdi(title || url || key))
    parts.lines.append(make('li', { class: 'of-page' }, link, ` ${note}`, make('br'), make('span', { class: 'quiet' }, bdi(url ?? '', 300))))
  }

  /** A line of text around the word; a press opens the paragraph. */
  function line(id, context) {
    const toggle = async () => {
      const open = pressed.getAttribute('aria-expanded') === 'true'
      pressed.setAttribute('aria-expanded', String(!open))
      if (open) return entry.querySelector('.paragraph').remove()
      entry.append(make('p', { class: 'paragraph', lang: language, dir: 'auto' }, '…'))
      const start = Math.max(0, context.start - 400)
      const text = await textOf(id, { offset: start, limit: AROUND }).catch(() => null)
      const place = entry.querySelector('.paragraph')
      if (!place) return
      if (text === null) place.replaceChildren(...paragraph(context.before + context.match + context.after, context.before.length, context))
      else place.replaceChildren(...paragraph(text, characters(text, context.start - start), context, start > 0))
    }
    // What is cut off must be far from the word: the direction is that of the text beside it, not of where that begins.
    const beside = /\p{L}(?=\P{L}*$)/u.exec(context.before)?.[0] ?? context.match
    const dir = RIGHT_TO_LEFT.test(beside) ? 'rtl' : 'ltr'
    const pressed = button('context', toggle,
      make('bdi', { lang: language, class: 'before', dir }, tail(context.before)),
      ' ', make('mark', {}, bdi(context.match, 80, language)), ' ',
      make('bdi', { lang: language, class: 'after', dir }, flat(context.after)))
    pressed.setAttribute('aria-expanded', 'false')
    pressed.dir = dir
    const entry = make('li', {}, pressed)
    return entry
  }

  async function places(id, item, signal) {
    const { fold } = shown()
    if (item.phrase) {
      const found = await contextsOf(id, item, { signal, limit: SPOTS, window: 1, case: fold ? 'fold' : 'keep' })
      return spots(found.contexts.map((context) => context.place))
    }
    const { places: found } = await placesOf(id, [item.word], { signal, parts: PARTS, case: fold ? 'fold' : 'keep' })
    const place = found[0]
    if (!place) return
    strip(place.parts)
    if (place.forms.length > 1) {
      parts.forms.replaceChildren('Forms: ', ...counted(place.forms.map(({ word, count }) => [word, count])))
    }
  }

  const counted = (words) => words.slice(0, 8).flatMap(([word, count], at) => [at ? ', ' : '', bdi(word, 40, language), ` ${number(count)}`])

  const spots = (found) => {
    const values = new Array(PARTS).fill(0)
    for (const place of found) values[Math.min(PARTS - 1, Math.floor(place * PARTS))] += 1
    strip(values)
  }

  function strip(values) {
    const filled = values.filter(Boolean).length
    parts.strip.replaceChildren(stripSvg(values, 2, 28))
    const [from, to] = [values.findIndex(Boolean), values.findLastIndex(Boolean) + 1]
    const span = values.length / 100
    parts.strip.setAttribute('aria-label', filled
      ? `From ${Math.round(from / span)}% to ${Math.round(to / span)}% of the text, in ${Math.round(filled / span)} of 100 parts of it`
      : 'Not in the text')
  }

  async function near(id, item, signal) {
    if (item.phrase) return
    if (!neighbours.has(id)) {
      neighbours.set(id, phrasesOf(id, { signal: undefined, n: 2, measure: 'logdice', stop_words: 'any', limit: 2000 }).catch(() => null))
    }
    const found = await neighbours.get(id)
    if (signal.aborted || !found) return
    const key = searchKey(item.word)
    const beside = new Map()
    for (const { phrase, count } of found.phrases) {
      const at = phrase.findIndex((word) => searchKey(word) === key)
      if (at >= 0) beside.set(phrase[1 - at], (beside.get(phrase[1 - at]) ?? 0) + count)
    }
    if (!beside.size) return
    parts.near.replaceChildren('Next to: ', ...counted([...beside]))
  }

  const goBack = () => (from?.isConnected && from !== document.body ? from.focus() : focusList())

  parts.close.addEventListener('click', () => {
    close()
    onClose()
    goBack()
  })
  inspector.addEventListener('cancel', (event) => {
    event.preventDefault()
    parts.close.click()
  })
  inspector.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || inspector.matches(':modal')) return
    event.preventDefault()
    goBack()
  })
  parts.hide.addEventListener('click', () => {
    if (!current) return
    announce(current.stop ? `“${current.word}” is no longer a common word` : `“${current.word}” is hidden as a common word`)
    hide(current)
  })
  return { open, close, isOpen: () => Boolean(current), current: () => current }
}

// The API counts characters, JavaScript counts halves of some.
function characters(text, count) {
  let at = 0
  for (let n = 0; n < count && at < text.length; n++) at += text.codePointAt(at) > 0xffff ? 2 : 1
  return at
}

const flat = (text) => visible(text.replaceAll(/\s+/g, ' '), 2000)
const tail = (text) => flat([...text].slice(-160).join(''))

/** The lines of the text around the word, cut where paragraphs end. */
function paragraph(text, at, { match }, cut = true) {
  const end = at + match.length
  const from = Math.max(text.lastIndexOf('\n\n', at), text.lastIndexOf('\n', at))
  const to = text.indexOf('\n', end)
  const start = from < 0 ? 0 : from + 1
  const stop = to < 0 ? text.length : to
  return [
    `${from < 0 && cut ? '…' : ''}${visible(text.slice(start, at), 3000)}`,
    make('mark', {}, visible(text.slice(at, end), 200)),
    `${visible(text.slice(end, stop), 3000)}${to < 0 && text.length >= AROUND ? '…' : ''}`,
  ]
}
