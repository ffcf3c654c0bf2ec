// Following a job until it ends. The server holds each request back (Prefer: wait); where it does not, we pause longer
// each time.
import { getJob, Problem, Unreachable } from './api.js'

export const ENDED = new Set(['succeeded', 'failed', 'canceled'])
const GIVE_UP = 90 // seconds, then the reader decides
const LONGEST_WAIT = 8 // seconds a request is held back: short enough to see the state change

const sleep = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

/** Calls onChange with each job read (or null while unreachable); resolves with the ended job, or null on giving up. */
export async function follow(id, { signal, onChange, wait = 1 }) {
  const end = Date.now() + GIVE_UP * 1000
  let pause = 0.4
  while (Date.now() < end) {
    try {
      const { job, waited, retryAfter } = await getJob(id, { wait, signal })
      onChange(job)
      if (ENDED.has(job.state)) return job
      if (waited) {
        wait = Math.min(wait * 2, LONGEST_WAIT)
        continue
      }
      pause = Math.max(pause, Math.min(retryAfter, 1))
    } catch (error) {
      const passes = error instanceof Unreachable || (error instanceof Problem && [429, 502, 503, 504].includes(error.status))
      if (!passes) throw error
      onChange(null)
      pause = Math.max(pause, error instanceof Problem ? error.retryAfter : 0)
    }
    await sleep(pause, signal)
    pause = Math.min(pause * 1.5, 5)
  }
  return null
}
