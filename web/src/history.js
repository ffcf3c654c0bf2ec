// What was counted, newest first: to come back to, search, compare or delete.
import { addressOf, eraseJob, getJob, jobAddress, listCorpora, listJobs } from './api.js'
import { failure, said } from './advice.js'
import { announce, bdi, button, byId, confirmed, fromTemplate, make, routed } from './dom.js'
import { ENDED } from './follow.js'
import { knownLanguage, plural, searchKey, visible, when } from './say.js'
import { writeState, emptyState } from './state.js'

export const STATES = { queued: 'Waiting', running: 'Counting', succeeded: 'Done', failed: 'Failed', canceled: 'Canceled' }
const AT_ONCE = 1000 // jobs that a search looks through at most
const FIRST_LOOK = 1000 // milliseconds until states are asked for again; then longer and longer
const LAST_LOOK = 60_000

/** A job's name: its title or address; a text has its first words. */
export const titleOf = (job) =>
  visible(job.page?.title?.replace(/[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g, '').trim() || job.url || { text: 'Pasted text', html: 'HTML document' }[job.kind] || 'Page', 200)

export const firstWords = (job) => (job.top ?? []).slice(0, 3).map(({ word }) => visible(word, 24))

/** Shows the history in the place; askForToken() is offered where the service wants one. */
export async function showHistory(place, { signal, go, askForToken }) {
  const { element, parts } = fromTemplate('history-view')
  place.replaceChildren(element)
  const jobs = new Map()
  const ticked = new Set()
  /** @type {[string | null, Promise<void> | null, number]} */
  let [next, loading, wait] = [null, null, FIRST_LOOK]

  /** Loads the next page, or the first one again. Who calls meanwhile waits for the one that runs: a search that
   * loads until it has everything would otherwise never let its answer in. */
  const load = (options) => {
    loading ??= fetchPage(options).finally(() => (loading = null))
    return loading
  }

  async function fetchPage({ again = false } = {}) {
    try {
      const page = await listJobs(again ? null : next)
      if (signal.aborted) return
      if (!again) next = page.next
      for (const job of again ? page.jobs.toReversed() : page.jobs) put(job, again)
      parts.problem.hidden = true
    } catch (error) {
      if (!again) showProblem(parts.problem, error, askForToken, load)
    }
    parts.loading.hidden = true
    filter()
  }

  function put(job, first) {
    const known = jobs.get(job.id)
    if (known?.job.version === job.version) return
    const line = item(job, { ticked, onTick: showTicked, onErased: () => forget(job.id) })
    if (known) known.line.replaceWith(line)
    else if (first && jobs.size) parts.list.prepend(line)
    else parts.list.append(line)
    jobs.set(job.id, { job, line, key: searchKey([titleOf(job), job.url ?? '', ...firstWords(job)].join(' ')) })
  }

  function forget(id) {
    jobs.delete(id)
    ticked.delete(id)
    showTicked()
    filter()
  }

  function filter() {
    const wanted = searchKey(parts.search.value.trim())
    let shown = 0
    for (const { line, key } of jobs.values()) {
      line.hidden = !key.includes(wanted)
      if (!line.hidden) shown += 1
    }
    parts.empty.hidden = jobs.size > 0 || !parts.problem.hidden
    parts.tools.hidden = !jobs.size
    parts.none.hidden = !wanted || shown > 0
    parts.none.textContent = `Nothing matches “${parts.search.value.trim()}”.`
    parts.more.hidden = !next || Boolean(wanted)
  }

  function showTicked() {
    parts.compare.hidden = ticked.size < 2
    parts.compare.textContent = `Compare ${plural(ticked.size, 'page')}`
  }

  parts.search.addEventListener('input', async () => {
    filter()
    while (parts.search.value.trim() && next && jobs.size < AT_ONCE && !signal.aborted && parts.problem.hidden) await load()
  })
  parts.compare.addEventListener('click', () => {
    const [one, ...others] = ticked
    const state = others.length === 1 ? { ...emptyState(), jobs: [one], vs: others[0] } : { ...emptyState(), jobs: [one, ...others] }
    go(addressOf(writeState(state)))
  })
  parts.more.addEventListener('click', async () => {
    const before = parts.list.children.length
    await load()
    parts.list.children[before]?.querySelector('a').focus()
  })

  // Jobs go on while they are looked at, and another tab may have sent some.
  async function look() {
    if (signal.aborted) return
    const open = [...jobs.values()].filter(({ job }) => !ENDED.has(job.state)).slice(0, 10)
    if (!document.hidden && open.length) {
      for (const { job } of open) {
        const now = await getJob(job.id, { signal }).catch(() => null)
        if (now) put(now.job)
      }
      filter()
    }
    wait = Math.min(LAST_LOOK, wait * 1.5)
    if (open.length) setTimeout(look, wait)
  }
  document.addEventListener('visibilitychange', async () => {
    if (document.hidden) return
    await load({ again: true })
    wait = FIRST_LOOK
    look()
  }, { signal })
  parts.corpora.addEventListener('toggle', async () => {
    const corpora = parts.corpora.open ? await listCorpora().catch(() => []) : []
    parts['corpora-list'].replaceChildren(...corpora.filter((one) => one.documents.total).map(corpusItem))
    if (!corpora.length) parts['corpora-list'].append(make('li', {}, 'None yet. Six or more addresses at once become one.'))
  })
  await load()
  setTimeout(look, FIRST_LOOK)
}

const corpusItem = (corpus) => make('li', {}, routed(addressOf(`?corpus=${corpus.id}`), corpusName(corpus)))

/** What a corpus is called, and what is known of it. */
export const corpusName = ({ name, documents, totals, created_at }) =>
  visible([...(name ? [name] : []), plural(documents.total, 'page'), plural(totals.words, 'word'), when(created_at)].join(' · '), 300)

function showProblem(place, error, askForToken, again) {
  const unknown = error.status === 401
  const retry = button('plain small', async () => {
    if (unknown) await askForToken()
    await again()
  }, unknown ? 'Sign in' : 'Try again')
  place.replaceChildren(make('span', {}, unknown ? 'Sign in to see your history.' : said(error)), ' ', retry)
  place.hidden = false
}

function item(job, { ticked, onTick, onErased }) {
  const { element, parts } = fromTemplate('history-item')
  const title = titleOf(job)
  parts.link.href = jobAddress(job.id)
  parts.link.dataset.route = ''
  parts.link.append(bdi(title, 200, job.page?.title && knownLanguage(job.page.language)))
  parts.state.textContent = STATES[job.state] ?? job.state
  parts.state.dataset.state = job.state
  const words = firstWords(job)
  if (words.length) parts.words.append(...words.flatMap((word, at) => [at ? ' · ' : '', bdi(word, 24, knownLanguage(job.page?.language))]))
  else if (job.error) parts.words.textContent = failure(job).title
  parts.when.textContent = [...(job.totals ? [plural(job.totals.words, 'word')] : []), when(job.submitted_at)].join(' · ')
  parts.tick.checked = ticked.has(job.id)
  parts.tick.hidden = job.state !== 'succeeded'
  parts.tick.setAttribute('aria-label', `Compare ${title}`)
  parts.tick.addEventListener('change', () => {
    if (parts.tick.checked) ticked.add(job.id)
    else ticked.delete(job.id)
    onTick()
  })
  parts.erase.setAttribute('aria-label', `Delete ${title}`)
  parts.erase.hidden = !ENDED.has(job.state)
  confirmed(parts.erase, 'Delete?', async () => {
    try {
      await eraseJob(job.id)
      const neighbour = element.nextElementSibling ?? element.previousElementSibling
      element.remove()
      announce('Deleted')
      ;(neighbour?.querySelector('a') ?? byId('history')).focus()
      onErased()
    } catch (error) {
      if (error.status === 404 || error.status === 410) {
        element.remove()
        return onErased()
      }
      announce(said(error))
      parts.when.textContent = said(error)
    }
  })
  return element
}
