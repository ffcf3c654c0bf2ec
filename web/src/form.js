// The one field: addresses, a text, or files, with options. One submission at a time; the same one again is the same job.
import { makeCorpus, Problem, submitJob } from './api.js'
import { fieldError } from './advice.js'
import { announce, byId, sendByEnter } from './dom.js'
import { classify, classifyFile, decode, insideHost, isBinary, MOST_BYTES } from './input.js'
import { number, plural } from './say.js'
import { FEW_JOBS } from './state.js'

const form = byId('submit')
const { input, files, main } = form.elements
const OPTIONS = ['select', 'ignore', 'language']
const FIELDS = ['input', ...OPTIONS]
const OF_PAGES = ['select', 'ignore', 'content'] // options of addresses and documents only
const button = form.querySelector('button[type=submit]')
const MOST = 1000 // documents of a request
const size = new TextEncoder()

/**
 * onSending(whats) when requests go out; onJobs(jobs, refused) when they are accepted, refused as [{what, error}], or
 * onCorpus(id, refused) where they are more than a few; onError(error, again) where no field is to blame.
 */
export function wireForm({ onSending, onJobs, onCorpus, onError }) {
  let sent = new Map() // from content to its key, until its job has ended
  let sending = false
  let touched = false // since it was sent

  async function send(submissions) {
    if (sending) return
    sending = true
    touched = false
    button.setAttribute('aria-disabled', 'true')
    closeOptions()
    const whats = submissions.map(whatOf)
    onSending(whats)
    /** @type {[object[], {what: string, error: string}[]]} */
    const [jobs, refused] = [[], []]
    try {
      if (submissions.length > FEW_JOBS) {
        const made = await makeCorpus(submissions, keyOf(submissions))
        const errors = made.refused.map(({ index, errors: [{ detail }] }) => ({ what: whats[index], error: fieldError('', detail) }))
        return onCorpus(made.id, errors)
      }
      for (const { key, ...submission } of submissions) {
        try {
          jobs.push(await submitJob(submission, keyOf(submission)))
        } catch (error) {
          if (!isFieldError(error) || submissions.length === 1) throw error
          refused.push({ what: whatOf(submission), error: fieldError('', error.errors[0]?.detail ?? error.message) })
        }
      }
      if (!jobs.length) showErrors([{ pointer: '', detail: refused[0].error }])
      onJobs(jobs, refused)
    } catch (error) {
      onError(isFieldError(error) ? null : error, () => send(submissions))
      if (isFieldError(error)) showErrors(error.errors.length ? error.errors : [{ pointer: '', detail: error.message }])
    } finally {
      sending = false
      button.removeAttribute('aria-disabled')
    }
  }

  function keyOf(submission) {
    const content = JSON.stringify(submission)
    if (!sent.has(content)) sent.set(content, crypto.randomUUID?.() ?? `${Math.random()}${Date.now()}`)
    return sent.get(content)
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (sending) return
    clearErrors()
    const found = read(input.value)
    if (found.error) return showErrors([{ pointer: '', detail: found.error }])
    send(found.submissions)
  })
  sendByEnter(input)
  for (const kind of ['keydown', 'pointerdown', 'input']) form.addEventListener(kind, () => (touched = true), true)
  for (const name of FIELDS) form.elements[name].addEventListener('input', () => showError(name, ''))
  for (const name of FIELDS) if (errorOf(name).textContent) openAround(form.elements[name])
  input.addEventListener('input', () => {
    grow()
    const inside = insideHost(input.value)
    if (inside) errorOf('input').textContent = `${inside} is not a public address. This service may refuse to fetch it.`
  })
  wireFiles(async (list) => {
    clearErrors()
    const { submissions, errors } = await readFiles(list)
    if (errors.length) showErrors(errors.map((detail) => ({ pointer: '', detail })))
    if (submissions.length) send(submissions)
  })
  for (const example of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll('form.example'))) {
    example.addEventListener('submit', (event) => {
      event.preventDefault()
      send([Object.fromEntries(new FormData(example))])
    })
  }
  return {
    /** Whether somebody is typing the next one: then the keyboard stays where it is. */
    inUse: () => touched && form.contains(document.activeElement),
    /** The next submission is a new one, even of the same content. */
    forget: () => (sent = new Map()),
    fill,
    send,
    /** Puts a text into the field, to be changed and counted again. */
    edit(text) {
      fill(null)
      input.value = text
      grow()
      input.focus()
    },
    focus: () => input.focus(),
    read,
  }
}

// What was given is at fault, or more of it than this service can hold: the same again would not help.
const isFieldError = (error) => error instanceof Problem && ([400, 413, 422].includes(error.status) || /OBJECT_STORE/.test(error.message))
const whatOf = ({ key, url, html }) => key ?? url ?? (html ? 'Your document' : 'Your text')

/** What is sent for what was typed, with the options as they are set: {submissions} or {error}. */
function read(typed) {
  const { urls = [], text } = classify(typed)
  if (!urls.length && !text) return { error: 'Enter an address, or paste some text.' }
  if (text) {
    if (size.encode(text).length > MOST_BYTES) return { error: 'This text is too long: 4 MB at most.' }
    const narrowed = OF_PAGES.some((name) => optionsFor('url')[name])
    if (narrowed) return { error: 'Selectors work on web pages only, not on pasted text.' }
    return { submissions: [{ text, ...optionsFor('text') }] }
  }
  if (urls.length > MOST) return { error: `These are ${plural(urls.length, 'address', 'addresses')}: ${number(MOST)} at most.` }
  return { submissions: urls.map((url) => ({ url, ...optionsFor('url') })) }
}

function optionsFor(kind) {
  const options = {}
  for (const name of OPTIONS) {
    const value = form.elements[name].value.trim()
    if (value && (kind !== 'text' || !OF_PAGES.includes(name))) options[name] = value
  }
  if (main.checked && kind !== 'text') options.content = 'main'
  return options
}

async function readFiles(list) {
  /** @type {[object[], string[]]} */
  const [submissions, errors] = [[], []]
  for (const file of [...list].slice(0, MOST)) {
    if (file.size > 2 * MOST_BYTES) {
      errors.push(`“${file.name}” is too long: 4 MB at most.`)
      continue
    }
    const bytes = new Uint8Array(await file.arrayBuffer())
    const binary = isBinary(bytes)
    const { urls, text, html } = binary ? {} : classifyFile(file.name, decode(bytes))
    const content = text ?? html ?? ''
    if (urls) submissions.push(...urls.map((url) => ({ url, ...optionsFor('url') })))
    else if (!content) errors.push(binary ? `“${file.name}” is no text. Use .txt, .md or .html files.` : `“${file.name}” is empty.`)
    else if (size.encode(content).length > MOST_BYTES) errors.push(`“${file.name}” is too long: 4 MB at most.`)
    else submissions.push({ key: file.name, ...(text ? { text, ...optionsFor('text') } : { html, ...optionsFor('html') }) })
  }
  if (submissions.length > MOST) errors.push(`Only the first ${plural(MOST, 'page')} are counted.`)
  return { submissions: submissions.slice(0, MOST), errors }
}

function wireFiles(use) {
  files.addEventListener('change', () => {
    const list = [...files.files]
    files.value = ''
    use(list)
  })
  byId('choose').addEventListener('click', () => files.click())
  const holds = (event) => event.dataTransfer?.types.includes('Files')
  addEventListener('dragover', (event) => {
    if (!holds(event)) return
    event.preventDefault()
    document.body.classList.add('dropping')
  })
  addEventListener('dragleave', (event) => !event.relatedTarget && document.body.classList.remove('dropping'))
  addEventListener('drop', (event) => {
    document.body.classList.remove('dropping')
    if (!event.dataTransfer || !holds(event)) return
    event.preventDefault()
    announce(plural(event.dataTransfer.files.length, 'file'))
    use(event.dataTransfer.files)
  })
}

/** Shows what a job was asked, so that it can be asked again; without a job, nothing. */
function fill(job) {
  clearErrors()
  input.value = job?.kind === 'url' ? job.url : ''
  for (const name of OPTIONS) {
    form.elements[name].value = job?.options?.[name] ?? ''
  }
  main.checked = job?.options?.content === 'main'
  grow()
  closeOptions()
}

// Where the style sheet's field-sizing is not known: as many rows as lines, eight at most.
function grow() {
  input.rows = Math.min(8, Math.max(1, input.value.split('\n').length))
}

const errorOf = (name) => byId(`${name}-error`)

function showError(name, detail) {
  errorOf(name).textContent = detail
  form.elements[name].setAttribute('aria-invalid', detail ? 'true' : 'false')
}

function clearErrors() {
  for (const name of FIELDS) showError(name, '')
}

function showErrors(errors) {
  /** @type {HTMLElement | null} */
  let first = null
  for (const { pointer = '', detail } of errors) {
    const named = pointer.replace(/^#?\//, '').split('/')[0]
    const name = OPTIONS.includes(named) ? named : 'input'
    showError(name, fieldError(pointer, detail))
    openAround(form.elements[name])
    first ??= form.elements[name]
  }
  first?.focus()
}

/** Closes the options, and says that some are set: they go with the next address too. */
function closeOptions() {
  const set = main.checked || OPTIONS.some((name) => form.elements[name].value.trim())
  byId('options').open = false
  byId('options').firstElementChild.textContent = set ? 'Options (set)' : 'Options'
}

function openAround(field) {
  const details = field.closest('details')
  if (details) details.open = true
}
