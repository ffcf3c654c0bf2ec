// The form: an address, or a text, and the options. One submission at a time; the same one again is the same job.
import { Problem, submitJob } from './api.js'

const form = document.getElementById('submit')
const FIELDS = ['url', 'text', 'select', 'ignore', 'language']
const button = form.querySelector('button')

/** onSubmitting() when a request is sent, onJob(job) when it is accepted, onError(error) where no field is to blame. */
export function wireForm({ onSubmitting, onJob, onError }) {
  let sent = null // {content, key} until its job has ended
  let sending = false
  let touched = false // since it was sent

  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    if (sending) return
    clearErrors()
    const submission = readForm()
    const wrong = refuse(submission)
    if (wrong) return showErrors([wrong])
    touched = false
    const content = JSON.stringify(submission)
    if (sent?.content !== content) sent = { content, key: crypto.randomUUID?.() ?? `${Math.random()}${Date.now()}` }
    sending = true
    button.setAttribute('aria-disabled', 'true')
    closeEmpty()
    try {
      onSubmitting(submission)
      onJob(await submitJob(submission, sent.key))
    } catch (error) {
      const blamed = error instanceof Problem && [400, 413, 422].includes(error.status)
      onError(blamed ? null : error)
      if (blamed) showErrors(error.errors.length ? error.errors : [{ pointer: submission.text ? '/text' : '/url', detail: error.message }])
    } finally {
      sending = false
      button.removeAttribute('aria-disabled')
    }
  })
  for (const kind of ['keydown', 'pointerdown', 'input']) form.addEventListener(kind, () => (touched = true))
  form.elements.url.addEventListener('paste', moveText)
  for (const name of FIELDS) form.elements[name].addEventListener('input', () => showError(name, ''))
  for (const name of FIELDS) if (errorOf(name).textContent) openAround(form.elements[name])
  return {
    /** Whether somebody is typing the next one: then the keyboard stays where it is. */
    inUse: () => touched && form.contains(document.activeElement),
    /** The next submission is a new one, even of the same content. */
    forget() {
      sent = null
    },
    /** Shows what a job was asked, so that it can be asked again; without a job, nothing. */
    fill(job) {
      clearErrors()
      const asked = { ...job?.options, url: job?.kind === 'url' ? job.url : '' }
      for (const name of FIELDS) {
        form.elements[name].value = asked[name] ?? ''
        if (asked[name]) openAround(form.elements[name])
      }
      closeEmpty()
    },
    submit: () => form.requestSubmit(),
  }
}

function readForm() {
  const submission = {}
  for (const name of FIELDS) {
    const value = form.elements[name].value.trim()
    if (value) submission[name] = value
  }
  return submission
}

function refuse({ url, text }) {
  if (!url && !text) return { pointer: '/url', detail: 'Type an address, or paste a text below.' }
  if (url && text) return { pointer: '/text', detail: 'There is an address too. Empty one of the two.' }
  return null
}

// A text that is pasted into the address field goes where texts go: an address holds no white space.
function moveText(event) {
  const pasted = event.clipboardData.getData('text/plain')
  if (!/\S\s+\S+\s+\S/.test(pasted)) return
  event.preventDefault()
  const { text } = form.elements
  openAround(text)
  text.value = pasted
  text.focus()
}

const errorOf = (name) => document.getElementById(`${name}-error`)

function showError(name, detail) {
  errorOf(name).textContent = detail
  form.elements[name].setAttribute('aria-invalid', detail ? 'true' : 'false')
}

function clearErrors() {
  for (const name of FIELDS) showError(name, '')
}

function showErrors(errors) {
  let first = null
  for (const { pointer = '', detail } of errors) {
    const named = pointer.replace(/^#?\//, '').split('/')[0]
    const name = FIELDS.includes(named) ? named : 'url'
    showError(name, detail ? `${detail[0].toUpperCase()}${detail.slice(1)}` : 'This cannot be used.')
    openAround(form.elements[name])
    first ??= form.elements[name]
  }
  first?.focus()
}

function closeEmpty() {
  for (const details of form.querySelectorAll('details')) {
    if (![...details.querySelectorAll('input, textarea')].some((field) => field.value.trim())) details.open = false
  }
}

function openAround(field) {
  const details = field.closest('details')
  if (details) details.open = true
}
