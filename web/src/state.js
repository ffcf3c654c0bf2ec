// What the reader looks at, as one object, from and to the address: reload, back and a copied link show the same. Pure.

/**
 * @typedef {object} State
 * @property {string[]} jobs  ids; more than one are shown as one list; a corpus is corpus:ID
 * @property {string} vs  the id of the job to compare with
 * @property {boolean} common  whether common words are shown
 * @property {boolean} fold  whether upper and lower case are merged
 * @property {number} min  occurrences at least
 * @property {1 | 2 | 3} n  words of an entry: 1, or phrases of 2 or 3
 * @property {string} find  part of a word
 * @property {'count' | 'word' | 'pages'} sort
 * @property {string[]} add  words that are hidden as common too
 * @property {string[]} remove  words that are not common here
 * @property {string} word  the word whose contexts are shown
 */

export const MOST_JOBS = 50 // at once in one list
export const FEW_JOBS = 5 // sent at once as jobs of their own; more are a corpus
const MOST_LISTED = 500 // own common words: the API takes no more
const JOB = /^[0-9a-f]{32}$/
const SIDE = /^(corpus:)?[0-9a-f]{32}$/

/** Whether that id is of many pages counted as one. @param {string} id */
export const isCorpus = (id) => id.startsWith('corpus:')

/** @returns {State} */
export const emptyState = () => ({
  jobs: [], vs: '', common: false, fold: true, min: 1, n: 1, find: '', sort: 'count', add: [], remove: [], word: '',
})

/** The state in an address's query; what is not understood is as usual. @param {string} search @returns {State} */
export function readState(search) {
  const given = new URLSearchParams(search)
  const text = (name) => given.get(name) ?? ''
  const min = Math.floor(Number(text('min')))
  const jobs = text('job').split(',').filter((id) => JOB.test(id))
  const whole = text('job') && !jobs.length ? [text('job')] : [...new Set(jobs)] // an unknown one is answered as such
  const corpus = text('corpus')
  const sort = text('sort')
  const n = Number(text('n'))
  return {
    jobs: corpus ? [`corpus:${corpus}`] : whole.slice(0, MOST_JOBS),
    vs: SIDE.test(text('vs')) ? text('vs') : '',
    common: text('common') === '1',
    fold: text('case') !== 'keep',
    min: min >= 1 && min < 1e9 ? min : 1,
    n: n === 2 || n === 3 ? n : 1,
    find: text('find').slice(0, 200),
    sort: sort === 'word' || sort === 'pages' ? sort : 'count',
    add: readList(text('add')),
    remove: readList(text('remove')),
    word: text('word').slice(0, 1000),
  }
}

/** The query of that state, with its question mark; nothing where all is as usual. @param {State} state */
export function writeState(state) {
  const jobs = state.jobs.join(',')
  const given = {
    [isCorpus(jobs) ? 'corpus' : 'job']: jobs.replace('corpus:', ''),
    vs: state.vs,
    common: state.common ? '1' : '',
    case: state.fold ? '' : 'keep',
    min: state.min > 1 ? String(state.min) : '',
    n: state.n > 1 ? String(state.n) : '',
    find: state.find,
    sort: state.sort === 'count' ? '' : state.sort,
    add: state.add.join(','),
    remove: state.remove.join(','),
    word: state.word,
  }
  const query = Object.entries(given)
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll('%2C', ',').replaceAll('%3A', ':')}`)
  return query.length ? `?${query.join('&')}` : ''
}

/** Words that somebody typed or pasted: one each line, or separated by commas or spaces. @param {string} text */
export function readList(text) {
  return [...new Set(text.split(/[\s,;،、]+/u).filter(Boolean))].slice(0, MOST_LISTED)
}
