// My jobs: what was counted, newest first, to come back to or erase.
import { eraseJob, jobAddress, listJobs } from './api.js'
import { announce, confirmed, fromTemplate, make } from './dom.js'
import { titleOf } from './result.js'
import { plural, when } from './say.js'
import { ENDED } from './follow.js'

const STATES = { queued: 'in the queue', running: 'counting', succeeded: 'done', failed: 'failed', canceled: 'canceled' }

/** Shows the list in the place; askForToken() is offered where the service wants one. */
export async function showJobs(place, { signal, askForToken }) {
  const { element, parts } = fromTemplate('home-view')
  place.replaceChildren(element)
  let next = null
  let loading = false
  async function load() {
    if (loading) return
    loading = true
    try {
      const page = await listJobs(next)
      if (signal.aborted) return
      next = page.next
      parts.list.append(...page.jobs.map((job) => item(job, () => (parts.empty.hidden = parts.list.children.length > 0))))
      parts.more.hidden = !next
      parts.empty.hidden = parts.list.children.length > 0
      parts.problem.hidden = true
    } catch (error) {
      showProblem(parts.problem, error, askForToken, load)
    }
    parts.loading.hidden = true
    loading = false
  }
  parts.more.addEventListener('click', async () => {
    const before = parts.list.children.length
    await load()
    parts.list.children[before]?.querySelector('a').focus()
  })
  await load()
}

function showProblem(place, error, askForToken, again) {
  const unknown = error.status === 401
  const retry = make('button', { type: 'button', class: 'plain small' }, unknown ? 'Enter a token' : 'Try again')
  retry.addEventListener('click', async () => {
    if (unknown) await askForToken()
    await again()
  })
  place.replaceChildren(make('span', {}, unknown ? 'Your jobs are shown to you only.' : error.message), ' ', retry)
  place.hidden = false
}

function item(job, onErased) {
  const { element, parts } = fromTemplate('job-item')
  parts.link.href = jobAddress(job.id)
  parts.link.dataset.route = ''
  parts.link.append(make('bdi', {}, titleOf(job)))
  parts.state.textContent = STATES[job.state] ?? job.state
  parts.state.dataset.state = job.state
  const words = job.totals ? [`${plural(job.totals.words, 'word')} · `] : []
  parts.when.append(...words, make('span', { class: 'whole' }, when(job.submitted_at)))
  parts.erase.setAttribute('aria-label', `Erase ${titleOf(job)}`)
  parts.erase.hidden = !ENDED.has(job.state)
  confirmed(parts.erase, 'Really?', async () => {
    try {
      await eraseJob(job.id)
      const neighbour = element.nextElementSibling ?? element.previousElementSibling
      element.remove()
      announce('Erased')
      ;(neighbour?.querySelector('a') ?? document.getElementById('jobs')).focus()
      onErased()
    } catch (error) {
      if (error.status === 404 || error.status === 410) return element.remove()
      announce(error.message)
      parts.when.textContent = error.message
    }
  })
  return element
}
