// The HTTP API: one function for a request, and what is made of it. The root is where the script came from, so that
// the page works below a stage's prefix.

const root = new URL('..', import.meta.url)

/** What the API refused, in its words: status, title, detail, errors [{pointer, detail}], retryAfter in seconds. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(status === 429 ? busy(retryAfter) : body.detail || body.title || `The service answered ${status}.`)
    this.status = status
    this.type = String(body.type ?? '').split(':').at(-1)
    this.title = body.title || 'That did not work'
    this.errors = body.errors ?? []
    this.retryAfter = retryAfter
  }
}

const busy = (seconds) =>
  `You have sent many requests. Try again ${seconds > 1 ? `in ${seconds} seconds` : 'in a moment'}.`

/** The service could not be reached at all. */
export class Unreachable extends Error {
  constructor() {
    super('The service can’t be reached. Check your connection.')
  }
}

/** @type {((wrong: boolean) => Promise<void>) | null} */
let askForToken = null

/** How to ask the reader for a token: an async function that resolves when one was given. */
export function onUnauthorized(ask) {
  askForToken = ask
}

/**
 * Sends one request; {body, headers, status}. Problem, Unreachable, or the signal's AbortError.
 * @param {string} method @param {string} path
 * @param {{json?: unknown, headers?: Record<string, string>, signal?: AbortSignal, quiet?: boolean}} [options]
 */
export async function request(method, path, { json, headers = {}, signal, quiet = false } = {}) {
  for (;;) {
    const response = await send(method, path, json, headers, signal)
    if (response.status === 401 && !quiet && askForToken) {
      await askForToken(Boolean(getToken()))
      continue
    }
    const body = await read(response)
    if (response.ok) return { body, headers: response.headers, status: response.status }
    throw new Problem(response.status, body ?? {}, Number(response.headers.get('Retry-After')) || 0)
  }
}

async function send(method, path, json, headers, signal) {
  const sent = { Accept: 'application/json', ...headers }
  if (json !== undefined) sent['Content-Type'] = 'application/json'
  if (getToken()) sent.Authorization = `Bearer ${getToken()}`
  try {
    return await fetch(new URL(path, root), {
      method,
      signal,
      headers: sent,
      body: json === undefined ? undefined : JSON.stringify(json),
      cache: 'no-store',
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new Unreachable()
  }
}

async function read(response) {
  try {
    return response.headers.get('Content-Type')?.startsWith('text/plain') ? await response.text() : await response.json()
  } catch (error) {
    if (error.name === 'AbortError') throw error
    return null // 204, or a gateway's own page
  }
}

// A browser that blocks cookies throws at any touch of its storage: then the token lasts as long as the page.
let token = null
const storage = (use) => {
  try {
    return use(sessionStorage)
  } catch {
    return null
  }
}
export const getToken = () => token ?? storage((kept) => kept.getItem('token'))
export const setToken = (given) => {
  token = given
  storage((kept) => kept.setItem('token', given))
}

export const jobAddress = (id) => new URL(`?job=${encodeURIComponent(id)}`, root).href
export const homeAddress = () => root.href
export const addressOf = (query) => new URL(query || './', root).href
/** Of a job, or of a corpus as corpus:ID: what can be asked of a job's words can be asked of a corpus' too. */
export const pathOf = (id, rest = '') => {
  const [, corpus] = /^corpus:(.*)/.exec(id) ?? []
  return `${corpus ? 'corpora' : 'jobs'}/${encodeURIComponent(corpus ?? id)}${rest}`
}

export async function submitJob(submission, key) {
  const { body } = await request('POST', 'jobs', { json: submission, headers: { 'Idempotency-Key': key } })
  return body
}

export const cancelJob = async (id) => (await request('POST', pathOf(id, '/cancel'))).body
export const eraseJob = (id) => request('DELETE', pathOf(id))

/** What of a corpus is at that path below it. @param {string} id @param {string} [rest] @param {AbortSignal} [signal] */
export const readCorpus = async (id, rest = '', signal) => (await request('GET', pathOf(id, rest), { signal })).body

/** {id, refused}: a corpus of these documents, sent twice the same one; refused as [{index, errors}]. */
export async function makeCorpus(documents, key) {
  const { body } = await request('POST', 'corpora', { json: {}, headers: { 'Idempotency-Key': key } })
  const id = `corpus:${body.id}`
  return { id, refused: (await request('POST', pathOf(id, '/documents'), { json: { documents } })).body.refused }
}

export const listCorpora = async () => (await request('GET', 'corpora?limit=100', { quiet: true })).body.corpora

/** {jobs, next}: a page of the caller's jobs, newest first; next is the address of the following page or null. */
export async function listJobs(next) {
  const { body } = await request('GET', next ?? 'jobs?limit=20', { quiet: true })
  return { jobs: body.jobs ?? [], next: body.next ?? null }
}

/**
 * The job as it is now, held back by the server for up to `wait` seconds unless it ends; waited says if it did.
 * @param {string} id @param {{wait?: number, signal?: AbortSignal}} [options]
 */
export async function getJob(id, { wait = 0, signal } = {}) {
  const { body, headers: got } = await request('GET', pathOf(id), { headers: wait ? { Prefer: `wait=${wait}` } : undefined, signal })
  return { job: body, waited: got.has('Preference-Applied'), retryAfter: Number(got.get('Retry-After')) || 0 }
}
