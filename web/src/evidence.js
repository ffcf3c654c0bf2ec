// What the API has of the words and the text of a job, or of a corpus as corpus:ID. Loaded with the first result.
import { pathOf, Problem, request } from './api.js'
import { isCorpus } from './state.js'

const PAGE = 10_000 // words asked for at once
export const MOST_WORDS = 200_000 // words held in the page; the CSV of the API has all of them

/**
 * The words of a job as they come, most frequent first, common ones marked: items so far, total, whether all are there.
 * load() goes on where an earlier one was broken off. Case and common words are the API's matter.
 */
export function wordsOf(id, { fold = true, add = [], remove = [] } = {}) {
  const own = `${listParameter('stop_add', add)}${listParameter('stop_remove', remove)}`
  let path = pathOf(id, `/words?stop_words=include&case=${fold ? 'fold' : 'keep'}&limit=${PAGE}${own}`)
  /** @type {{items: import('./words.js').Item[], total: number, done: boolean, load: typeof load}} */
  const state = { items: [], total: 0, done: false, load }
  /** @param {{signal?: AbortSignal, onChunk?: (state: object) => void}} options */
  async function load({ signal, onChunk = () => {} }) {
    while (path && state.items.length < MOST_WORDS) {
      const { body } = await request('GET', path, { signal })
      for (const { word, count, stop_word: stop, documents } of body.words) state.items.push({ word, count, stop, documents })
      state.total = body.total
      path = body.next
      onChunk(state)
    }
    state.done = true
    return state
  }
  return state
}

const listParameter = (name, words) => (words.length ? `&${name}=${words.map(encodeURIComponent).join(',')}` : '')
const query = (parameters) =>
  `?${Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`
async function readPart(id, what, parameters, signal) {
  for (let tries = 10; ; tries--) {
    const { body, status } = await request('GET', pathOf(id, `/${what}${query(parameters)}`), { signal, headers: { Prefer: 'wait=10' } })
    if (status !== 202) return body
    if (!tries) throw new Problem(202, { detail: 'This takes longer than usual. Try again later.' }) // a worker still looks
  }
}

/** {total, contexts, next} of a word or of a phrase. */
export const contextsOf = (id, { word, phrase }, { signal, ...parameters }) =>
  readPart(id, 'contexts', { ...(phrase ? { phrase } : { word }), ...parameters }, signal)

/** {places: [{word, total, parts, forms}]}: in which part of the text each of the words is how often. */
export const placesOf = (id, words, { signal, ...parameters }) =>
  readPart(id, 'places', { words: words.join(','), ...parameters }, signal)

/** {total, phrases: [{phrase, count, logdice}]}. */
export const phrasesOf = (id, { signal, ...parameters }) => readPart(id, 'phrases', parameters, signal)

/** {keywords, sizes, tests}: words that the job or corpus has more or less of than the other; a job has only jobs to compare with. */
export const keywordsOf = (id, other, { signal, ...parameters }) =>
  readPart(id, 'keywords', { against: isCorpus(id) && !isCorpus(other) ? `job:${other}` : other, ...parameters }, signal)

/**
 * A part of the text of a job, as it was counted.
 * @param {string} id @param {{signal?: AbortSignal, offset?: number, limit?: number}} [options]
 */
export async function textOf(id, { signal, offset = 0, limit } = {}) {
  const path = pathOf(id, `/text${query({ offset, ...(limit ? { limit } : {}) })}`)
  return (await request('GET', path, { signal, headers: { Accept: 'text/plain' } })).body
}
