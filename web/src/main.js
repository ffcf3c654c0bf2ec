// Which view is shown: the address says it, and everything starts from there.
import { addressOf, cancelJob, getJob, homeAddress, jobAddress, onUnauthorized, Problem, setToken, submitJob } from './api.js'
import { failure, missing, said } from './advice.js'
import { addressNode, announce, bdi, byId, calm, fromTemplate, make, routed } from './dom.js'
import { ENDED, follow } from './follow.js'
import { wireForm } from './form.js'
import { showHistory, STATES, titleOf } from './history.js'
import { elapsed, number, plural, visible } from './say.js'
import { emptyState, isCorpus, MOST_JOBS, readState, writeState } from './state.js'

const place = byId('view')
let leave = new AbortController() // aborted when another view is shown
let state = emptyState()
/** @type {{refresh: () => void} | null} */
let result = null // the shown result's {refresh}

// What shows results comes when there is one to show: the first view is light.
const loadResult = () => import('./result.js')

function enter(name) {
  leave.abort()
  leave = new AbortController()
  document.body.dataset.view = name
  byId('input').scrollTop = 0 // of a long text the beginning is shown, not where its end was typed
  result = null
  return leave.signal
}

const view = {
  state: () => state,
  /** Another state of the same view: kept in the address, shown at once. quiet: the list stays as it is. */
  change(patch, { quiet = false } = {}) {
    state = { ...state, ...patch }
    try {
      history.replaceState(history.state, '', addressOf(writeState(state)))
    } catch {
      // a browser that allows so many changes a minute: the next one will be kept
    }
    if (!quiet) result?.refresh()
  },
}

const form = wireForm({
  onSending(whats) {
    showWaiting(enter('job'), { what: whats.length > 1 ? plural(whats.length, 'page') : whats[0], stage: 'sent' })
  },
  onJobs(jobs, refused) {
    if (!jobs.length) return route()
    keep(jobs.map((job) => job.id))
    if (jobs.length === 1 && !refused.length) showJob(jobs[0].id, { job: jobs[0], mine: true })
    else showSeveral({ jobs, refused, mine: true })
  },
  onCorpus(id, refused) {
    keep([id])
    showSeveral({ refused, mine: true })
  },
  onError(error, again) {
    if (error) showEnded({ title: error.status === 429 ? 'Too many requests' : 'Couldn’t send that', detail: said(error) }, { retry: again })
    else route()
  },
})

/** What was just sent is what the address says. */
function keep(jobs) {
  const address = addressOf(writeState({ ...emptyState(), jobs }))
  if (location.href !== address) history.pushState(null, '', address)
  cameFrom = null
  state = readState(location.search)
}

// Where the reader was stands in the history's entry: a browser restores it before there is a view to scroll.
history.scrollRestoration = 'manual'
let cameFrom = history.state
const scroller = () => document.querySelector('[data-is=scroller]')
const keepPlace = calm(100, () => {
  if (!cameFrom) history.replaceState({ page: scrollY, list: scroller()?.scrollTop ?? 0 }, '')
})
addEventListener('scroll', keepPlace, { capture: true, passive: true })

function restorePlace() {
  const { page = 0, list = 0 } = cameFrom ?? {}
  cameFrom = null
  if (list) scroller()?.scrollTo(0, list)
  if (page && !scrollY) scrollTo(0, page)
}

function route(options) {
  const hash = /^#\/jobs\/([\w-]+)$/.exec(location.hash)
  if (hash) history.replaceState(null, '', jobAddress(hash[1]))
  state = readState(location.search)
  if (!state.jobs.length) return showHome(options)
  return state.jobs.length > 1 || isCorpus(state.jobs[0]) ? showSeveral(options) : showJob(state.jobs[0], options)
}

/** To another view, and the keyboard with it: what was followed or pressed is often no longer there. */
function go(address) {
  history.pushState(null, '', address)
  cameFrom = null
  if (!readState(location.search).jobs.length) form.fill(null)
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
  if (focus) byId('main').focus()
  const { element } = fromTemplate('home-view')
  place.replaceChildren(element)
  await showHistory(element, { signal, go, askForToken: () => askForToken(false) })
  if (!signal.aborted) restorePlace()
  if (location.hash !== '#history' || signal.aborted) return
  const list = byId('history')
  list.scrollIntoView()
  list.focus()
}

async function showJob(id, { job = null, mine = false, focus = mine } = {}) {
  const signal = enter('job')
  if (!job) place.replaceChildren(fromTemplate('loading-view').element)
  try {
    // A job that came by a link may have ended long ago: read it once before saying that anything is waited for.
    let now = job ?? (await getJob(id, { signal })).job
    if (!mine) form.fill(now)
    if (!ENDED.has(now.state)) now = await waitFor(now, signal, focus && !mine)
    if (!now) return
    form.forget()
    if (now.state !== 'succeeded') return showFailed(now, { mine, focus })
    await showDone([now], signal, { focus })
  } catch (error) {
    if (!signal.aborted) showMissing(error, focus)
  }
}

async function showDone(jobs, signal, { focus = false, target = place, corpus = '' } = {}) {
  const [job] = jobs
  document.title = `${jobs.length > 1 ? plural(jobs.length, 'page') : titleOf(job)} – Wordcounts`
  const { showResult, wireCompare } = await loadResult()
  const other = state.vs && (corpus || jobs.length === 1) ? await otherJob(state.vs, signal) : null
  if (signal.aborted) return
  const shown = showResult(target, jobs, { view, signal, go, form, other, corpus })
  result = shown
  /** @type {Record<string, any>} */
  const parts = {}
  for (const part of target.querySelectorAll('[data-is]')) parts[part.dataset.is] = part
  wireCompare(parts, { view, go, send: (typed, to) => sendOther(parts, typed, to) })
  announce(`Done: ${plural(jobs.reduce((sum, one) => sum + (one.totals?.words ?? 0), 0), 'word')}`)
  if (focus) moveTo(target.querySelector('h1'))
  await shown.ready
  if (!signal.aborted) restorePlace()
}

async function otherJob(id, signal) {
  try {
    if (isCorpus(id)) return await (await loadResult()).corpusJob(id)
    let { job } = await getJob(id, { signal })
    if (!ENDED.has(job.state)) job = (await follow(id, { signal, onChange() {} })) ?? job
    if (job.state === 'succeeded') return job
    announce(`The other page could not be counted: ${failure(job).title}`)
  } catch (error) {
    if (!signal.aborted) announce(`The other page can’t be shown: ${missing(error).title}`)
  }
  return null
}

/** Counts another address or text, to compare with what is shown. */
async function sendOther(parts, typed, to) {
  const signal = leave.signal
  const tell = (text) => (parts['compare-error'].textContent = text)
  const { submissions: [submission, more] = [], error } = form.read(typed)
  if (error || more) return tell(error ?? 'One address at a time.')
  tell('Counting…')
  try {
    let job = await submitJob(submission, `${Math.random()}${Date.now()}`)
    if (!ENDED.has(job.state)) job = await follow(job.id, { signal, onChange() {} })
    if (signal.aborted) return
    if (job?.state === 'succeeded') return to(job.id)
    const { title, detail } = job ? failure(job) : { title: 'This is taking longer than usual.', detail: '' }
    tell(`${title}. ${detail}`)
  } catch (error) {
    if (!signal.aborted) tell(error.errors?.[0]?.detail ?? said(error))
  }
}

/** Several jobs or the documents of a corpus: a row each with its state, and their words together when they have ended. */
async function showSeveral({ jobs = [], refused = [], mine = false, focus = mine } = {}) {
  const signal = enter('job')
  const { element, parts } = fromTemplate('several-view')
  const [first] = state.jobs
  const corpus = isCorpus(first) ? first : ''
  document.title = 'Several pages – Wordcounts'
  place.replaceChildren(element)
  if (!mine) form.fill(null)
  if (focus) moveTo(parts.title)
  const known = new Map(corpus ? [] : state.jobs.map((id) => [id, { id, state: 'queued' }]))
  for (const job of jobs) known.set(job.id, job)
  const { corpusJob, readDocuments, readJobs } = await loadResult()
  if (signal.aborted) return
  /** @type {Map<any, any>} */
  const rows = new Map(refused.map(({ what, error }) => [row(parts.rows, { url: what, state: 'failed', said: error }), null]))
  for (let pause = 400; ; pause = Math.min(5000, pause * 1.3)) {
    /** @type {any} */
    let [found, note] = [null, '']
    try {
      found = corpus ? await readDocuments(corpus, known, signal) : await readJobs(known, signal)
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof Problem && error.status < 429) return showMissing(error, focus)
      note = said(error)
    }
    for (const job of known.values()) {
      if (rows.get(job.id)?.dataset.state !== job.state) rows.set(job.id, row(parts.rows, job, rows.get(job.id)))
    }
    parts.progress.textContent = found ? (found.ended ? '' : `${number(found.done)} of ${plural(found.all, 'page')} done`) : note
    if (found?.ended) break
    await new Promise((done) => setTimeout(done, pause))
    if (signal.aborted) return
  }
  form.forget()
  const ended = [...known.values()].filter((job) => job.state === 'succeeded')
  parts.details.open = ended.length < Math.max(2, rows.size)
  parts.count.textContent = `${plural(ended.length, 'page')} counted${ended.length < rows.size ? `, ${number(rows.size - ended.length)} not` : ''}`
  announce(parts.count.textContent)
  if (!ended.length) return
  const focused = document.activeElement === parts.title
  parts.title.hidden = true
  try {
    const shown = !corpus ? ended : ended.length > MOST_JOBS ? [await corpusJob(corpus)]
      : (await Promise.all(ended.map(({ id }) => getJob(id, { signal })))).map(({ job }) => job)
    await showDone(shown, signal, { focus: focused, target: parts.merged, corpus })
  } catch (error) {
    if (!signal.aborted) showMissing(error, focus)
  }
}

/** A line for the job at the end of the list, or anew in place of what stood there. */
function row(list, job, line = list.appendChild(make('li'))) {
  const named = job.page || job.url ? titleOf(job) : 'Page'
  const link = job.id ? routed(jobAddress(job.id), bdi(named)) : bdi(named)
  const said = job.said ?? (job.state === 'failed' ? failure(job).title : '')
  const words = job.totals ? plural(job.totals.words, 'word') : ''
  line.dataset.state = job.state
  line.replaceChildren(link, make('span', { class: 'state', 'data-state': job.state }, STATES[job.state]), make('span', { class: 'quiet' }, said || words))
  return line
}

function showWaiting(signal, { what, stage, since = Date.now() }) {
  const { element, parts } = fromTemplate('waiting-view')
  document.title = 'Counting – Wordcounts'
  parts.what.append(addressNode(what))
  parts.cancel.hidden = true
  const tick = () => {
    parts.clock.textContent = elapsed((Date.now() - since) / 1000)
  }
  tick()
  const timer = setInterval(tick, 1000)
  signal.addEventListener('abort', () => clearInterval(timer))
  place.replaceChildren(element)
  markStage(element, stage)
  loadResult().catch(() => {}) // there when the words come
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

/** The ended job; null when the reader was told to come back later, or has gone elsewhere. */
async function waitFor(job, signal, focus) {
  const since = Math.min(Date.parse(job.submitted_at) || Date.now(), Date.now())
  const { element, parts, stop } = showWaiting(signal, { what: job.url ?? titleOf(job), stage: job.state, since })
  parts.cancel.hidden = false
  if (focus) moveTo(parts.title)
  parts.cancel.addEventListener('click', () => cancel(job.id, parts))
  let told = ''
  const onChange = (now) => {
    parts.note.textContent = now ? (now.attempt > 1 ? `· attempt ${now.attempt}` : '') : '· The service can’t be reached; trying again'
    const name = now?.state ?? told.split(' ')[0]
    if (now && !ENDED.has(now.state)) markStage(element, now.state)
    const seconds = (Date.now() - since) / 1000
    const saying = `${name} ${Math.floor(seconds / 10)}`
    if (saying !== told && !ENDED.has(name) && STATES[name]) announce(`${STATES[name]}, ${elapsed(seconds)}`)
    told = saying
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
    if (!(error instanceof Problem && error.status === 409)) parts.note.textContent = said(error)
  }
}

function showLate(parts, id) {
  parts.late.hidden = false
  parts.progress.hidden = true
  parts.link.href = jobAddress(id)
  parts.link.textContent = jobAddress(id)
  parts.again.addEventListener('click', () => showJob(id, { focus: true }))
  announce('This is taking longer than usual. A link to come back is on the page.')
}

function showFailed(job, { mine, focus }) {
  const { title, detail, retry } = failure(job)
  const again = () => form.send([{ ...(job.url ? { url: job.url } : {}), ...job.options }])
  const dotted = job.kind === 'url' && job.error?.type === 'dns-failed' && mine
  document.title = `${title} – Wordcounts`
  showEnded({ title, detail, what: job.url }, { retry: retry && job.kind === 'url' ? again : null, focus, text: dotted ? job.url : null })
}

function showMissing(error, focus) {
  const { title, detail, retry } = missing(error)
  document.title = `${title} – Wordcounts`
  showEnded({ title, detail }, { retry: retry ? () => route({ focus: true }) : null, focus })
}

/**
 * @param {{title: string, detail?: string, what?: string}} said
 * @param {{retry: (() => void) | null, focus?: boolean, text?: string | null}} how
 */
function showEnded({ title, detail, what }, { retry, focus = false, text = null }) {
  const { element, parts } = fromTemplate('ended-view')
  parts.title.textContent = visible(title, 300)
  parts.detail.textContent = visible(detail ?? '', 1000) // it may quote an address
  if (what) parts.what.append(addressNode(what))
  parts.what.hidden = !what
  parts.retry.hidden = !retry
  if (retry) parts.retry.addEventListener('click', retry)
  parts['as-text'].hidden = !text
  if (text) parts['as-text'].addEventListener('click', () => form.send([{ text: text.replace(/^https?:\/\/|\/$/g, '') }]))
  parts.home.href = homeAddress()
  parts.home.dataset.route = ''
  place.replaceChildren(element)
  announce(`${title}. ${detail ?? ''}`)
  if (focus) moveTo(parts.title)
}

/** Shows the token's form above all else; resolves when the reader has given one. */
function askForToken(wrong) {
  const { element } = fromTemplate('token-view')
  document.querySelector('.token')?.remove()
  place.before(element)
  const { token } = element.elements
  const error = element.querySelector('.error')
  error.textContent = wrong ? 'That token isn’t valid.' : ''
  token.focus()
  return new Promise((/** @type {(nothing?: undefined) => void} */ resolve) => {
    element.addEventListener('submit', (event) => {
      event.preventDefault()
      const value = token.value.trim()
      if (!/^[\x21-\x7e]+$/.test(value)) {
        error.textContent = value ? 'A token has no spaces or accents.' : 'Enter your token.'
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
  // a fragment of the same view is no other view
  if (addressOf(writeState(state)) !== location.href.split('#')[0] || location.hash.startsWith('#/jobs/')) {
    cameFrom = history.state
    route()
  }
})
document.addEventListener('click', (event) => {
  const link = /** @type {Element} */ (event.target).closest('a[data-route], .brand, #to-history')
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
  event.preventDefault()
  go(link.href)
  if (link.dataset.is === 'home') form.focus()
})
for (const element of document.querySelectorAll('.scripted')) element.removeAttribute('hidden')
route()
