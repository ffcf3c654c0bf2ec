// Which view is shown: the address bar says it (?job=<id>, or #/jobs/<id>), and everything starts from there.
import { cancelJob, getJob, homeAddress, jobAddress, onUnauthorized, Problem, setToken } from './api.js'
import { announce, fromTemplate } from './dom.js'
import { ENDED, follow } from './follow.js'
import { wireForm } from './form.js'
import { showJobs } from './jobs.js'
import { showAddress, showResult, titleOf } from './result.js'
import { elapsed, visible } from './say.js'

const view = document.getElementById('view')
let leave = new AbortController() // aborted when another view is shown
let shownJob = null

function enter(name) {
  leave.abort()
  leave = new AbortController()
  document.body.dataset.view = name
  shownJob = jobInAddress()
  return leave.signal
}

const form = wireForm({
  onSubmitting(submission) {
    showWaiting(enter('job'), { what: submission.url ?? 'Your text', stage: 'sent' })
  },
  onJob(job) {
    const address = jobAddress(job.id)
    if (location.href !== address) history.pushState(null, '', address)
    showJob(job.id, { job, mine: true })
  },
  onError(error) {
    if (error) showUnsent(error)
    else if (jobInAddress()) route()
    else showHome()
  },
})

function jobInAddress() {
  const hash = /^#\/jobs\/([\w-]+)$/.exec(location.hash)
  return hash ? hash[1] : new URLSearchParams(location.search).get('job')
}

function route(options) {
  const id = jobInAddress()
  if (!id) return showHome(options)
  if (location.hash.startsWith('#/jobs/')) history.replaceState(null, '', jobAddress(id))
  return showJob(id, options)
}

/** To another view, and the keyboard with it: what was followed or pressed is often no longer there. */
function go(address) {
  history.pushState(null, '', address)
  if (!jobInAddress()) form.fill(null)
  route({ focus: true })
  window.scrollTo(0, 0)
}

/** Gives the keyboard to an element, unless the reader is typing the next address. */
function moveTo(element) {
  if (!form.inUse()) element?.focus()
}

async function showHome({ focus = false } = {}) {
  const signal = enter('home')
  document.title = 'Wordcounts'
  if (focus) document.getElementById('main').focus()
  await showJobs(view, { signal, askForToken: () => askForToken(false) })
  if (location.hash !== '#jobs' || signal.aborted) return
  const jobs = document.getElementById('jobs')
  jobs.scrollIntoView()
  jobs.focus()
}

async function showJob(id, { job = null, mine = false, focus = mine } = {}) {
  const signal = enter('job')
  try {
    // A job that came by a link may have ended long ago: read it once before saying that anything is waited for.
    let now = job ?? (await getJob(id, { signal })).job
    if (!mine) form.fill(now)
    if (!ENDED.has(now.state)) now = await waitFor(now, signal, focus && !mine)
    if (!now) return
    form.forget()
    document.title = `${titleOf(now)} – Wordcounts`
    if (now.state === 'succeeded') await showDone(now, signal, focus)
    else showFailed(now, { mine, focus })
  } catch (error) {
    if (!signal.aborted) showMissing(error, focus)
  }
}

async function showDone(job, signal, focus) {
  announce(`Done: ${job.totals?.words ?? 0} words`)
  const shown = showResult(view, job, { signal, go, fail: (error) => announce(error.message) })
  if (focus) moveTo(view.querySelector('h2'))
  await shown
}

function showWaiting(signal, { what, stage, since = Date.now() }) {
  const { element, parts } = fromTemplate('waiting-view')
  document.title = 'Counting – Wordcounts'
  showAddress(parts.what, what)
  parts.cancel.hidden = true
  const tick = () => {
    parts.clock.textContent = elapsed((Date.now() - since) / 1000)
  }
  tick()
  const timer = setInterval(tick, 1000)
  signal.addEventListener('abort', () => clearInterval(timer))
  view.replaceChildren(element)
  markStage(element, stage)
  return { element, parts, stop: () => clearInterval(timer) }
}

function markStage(element, current) {
  let done = true
  for (const item of element.querySelectorAll('[data-stage]')) {
    if (item.dataset.stage === current) done = false
    if (item.dataset.stage === current) item.setAttribute('aria-current', 'step')
    else item.removeAttribute('aria-current')
    item.classList.toggle('done', done)
  }
}

const SAID = { queued: 'In the queue', running: 'Fetching and counting' }

/** The ended job; null when the reader was told to come back later, or has gone elsewhere. */
async function waitFor(job, signal, focus) {
  const since = Math.min(Date.parse(job.submitted_at) || Date.now(), Date.now())
  const { element, parts, stop } = showWaiting(signal, { what: job.url ?? titleOf(job), stage: job.state, since })
  parts.cancel.hidden = false
  if (focus) moveTo(parts.title)
  parts.cancel.addEventListener('click', () => cancel(job.id, parts))
  let said = ''
  const onChange = (now) => {
    parts.note.textContent = now ? (now.attempt > 1 ? `· attempt ${now.attempt}` : '') : '· The service cannot be reached; trying again'
    const state = now?.state ?? said.split(' ')[0]
    if (now && !ENDED.has(now.state)) markStage(element, now.state)
    const seconds = (Date.now() - since) / 1000
    const saying = `${state} ${Math.floor(seconds / 10)}`
    if (saying !== said && SAID[state]) announce(`${SAID[state]}, ${elapsed(seconds)}`)
    said = saying
  }
  onChange(job)
  const ended = await follow(job.id, { signal, onChange })
  stop()
  if (!ended) showLate(parts, job.id)
  return ended
}

async function cancel(id, parts) {
  parts.cancel.disabled = true
  try {
    await cancelJob(id)
    showJob(id, { mine: true })
  } catch (error) {
    parts.cancel.disabled = false
    if (!(error instanceof Problem && error.status === 409)) parts.note.textContent = error.message
  }
}

function showLate(parts, id) {
  parts.late.hidden = false
  parts.progress.hidden = true
  parts.link.href = jobAddress(id)
  parts.link.textContent = jobAddress(id)
  parts.again.addEventListener('click', () => showJob(id, { focus: true }))
  announce('This takes longer than usual. A link to come back is on the page.')
}

const ADVICE = {
  'address-refused': 'Only public addresses can be fetched, over http and https on their usual ports.',
  'dns-failed': 'Check the spelling of the address.',
  'http-status': 'Check the address. If it is right, the site may answer better later.',
  timeout: 'The site was too slow. It may be quicker later.',
  'not-text': 'Pages and texts can be counted; pictures, PDF files and downloads cannot.',
  'too-large': 'You can paste the part that matters as a text.',
  'bad-selector': 'Open the options and check the CSS selectors.',
  'worker-lost': 'The page may be too much for one job. You can paste a part of it as a text.',
}

function showFailed(job, { mine, focus }) {
  const error = job.error ?? {}
  const title = job.state === 'canceled' ? 'This job was canceled' : error.title || 'This page could not be counted'
  const detail = job.state === 'canceled' ? 'Nothing was counted.' : error.detail
  const retry = job.kind === 'url' || mine ? form.submit : null
  showEnded({ title, detail, what: job.url, advice: ADVICE[error.type] }, { retry, focus })
}

function showMissing(error, focus) {
  const gone = error instanceof Problem && [404, 410].includes(error.status)
  const title = gone ? 'There is no such job' : error.title || 'That did not work'
  document.title = `${title} – Wordcounts`
  const unknown = gone && error.status === 404
  const detail = unknown ? 'It may be somebody else’s, or it is gone: results are kept for some weeks.' : error.message
  const advice = unknown ? 'Check the link.' : ''
  showEnded({ title, detail, advice }, { retry: gone ? null : () => route({ focus: true }), focus })
}

function showUnsent(error) {
  const title = 'That could not be sent'
  document.title = `${title} – Wordcounts`
  showEnded({ title, detail: error.message }, { retry: form.submit })
}

function showEnded({ title, detail, what, advice }, { retry, focus = false }) {
  const { element, parts } = fromTemplate('ended-view')
  parts.title.textContent = visible(title, 300)
  parts.detail.textContent = visible(detail ?? '', 1000) // it may quote an address
  parts.advice.textContent = advice ?? ''
  showAddress(parts.what, what)
  parts.retry.hidden = !retry
  if (retry) parts.retry.addEventListener('click', retry)
  parts.home.href = homeAddress()
  parts.home.dataset.route = ''
  view.replaceChildren(element)
  announce(`${title}. ${detail ?? ''}`)
  if (focus) moveTo(parts.title)
}

/** Shows the token's form above all else; resolves when the reader has given one. */
function askForToken(wrong) {
  const { element } = fromTemplate('token-view')
  document.querySelector('.token')?.remove()
  view.before(element)
  const { token } = element.elements
  const error = element.querySelector('.error')
  error.textContent = wrong ? 'This token is not known here.' : ''
  token.focus()
  return new Promise((resolve) => {
    element.addEventListener('submit', (event) => {
      event.preventDefault()
      const value = token.value.trim()
      if (!/^[\x21-\x7e]+$/.test(value)) {
        error.textContent = value ? 'A token has no spaces or accents.' : 'Type your token.'
        return
      }
      setToken(value)
      element.remove()
      resolve()
    })
  })
}

onUnauthorized(askForToken)
addEventListener('popstate', () => {
  if (jobInAddress() !== shownJob) route() // a fragment of the same view is no other view
})
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-route], .brand, #to-jobs')
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
  event.preventDefault()
  go(link.href)
  if (link.dataset.is === 'home') document.getElementById('url').focus()
})
for (const element of document.querySelectorAll('.scripted')) element.hidden = false
route()
