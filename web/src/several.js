// What several pages are: jobs beside each other, or the documents of a corpus.
import { missing } from './advice.js'
import { getJob, Problem, readCorpus } from './api.js'
import { ENDED } from './follow.js'
import { number } from './say.js'

/** Reads those that have not ended: {done, all, ended}. */
export async function readJobs(known, signal) {
  for (const { id, state: was } of known.values()) {
    if (ENDED.has(was)) continue
    try {
      known.set(id, (await getJob(id, { signal })).job)
    } catch (error) {
      if (signal.aborted || !(error instanceof Problem) || error.status >= 429) throw error
      known.set(id, { id, state: 'failed', said: missing(error).title })
    }
  }
  const done = [...known.values()].filter((job) => ENDED.has(job.state)).length
  return { done, all: known.size, ended: done === known.size }
}

/** Reads the documents of a corpus: the first hundred while they are counted, all at the end. */
export async function readDocuments(corpus, known, signal) {
  const { state: now, complete, documents: { total, succeeded, failed } } = await readCorpus(corpus, '', signal)
  if (now === 'erasing' || !total) throw new Problem(410, {})
  for (let path = `/documents?limit=${complete ? 1000 : 100}`; path; ) {
    const { documents, next } = await readCorpus(corpus, path, signal)
    for (const { job: id, url, key, state: its, error, words } of documents) {
      known.set(id, { id, url: url ?? key, state: its, error, totals: words === null ? null : { words } })
    }
    path = complete && next ? next.slice(next.indexOf('/documents')) : ''
  }
  const seen = [...known.values()].filter((job) => ENDED.has(job.state)).length
  return { done: Math.max(seen, succeeded + failed), all: total, ended: complete }
}

/** A corpus as if it were one page: its documents may be too many to be laid beside each other. */
export async function corpusJob(id) {
  const { totals, created_at: finished_at, expires_at, documents: { succeeded: many } } = await readCorpus(id)
  return { id, kind: 'corpus', totals, finished_at, expires_at, page: { title: `${number(many)} pages as one` } }
}
