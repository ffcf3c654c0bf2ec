// The words of a page, pure: choose, find, sort, count how often counts occur, add up several pages. Made for 50,000
// different words at a key stroke, so what can be known before is computed once for each list.

import { searchKey } from './say.js'

/** @typedef {{word: string, count: number, stop: boolean, phrase?: string, counts?: number[], documents?: number}} Item */

const PIECE = 2048 // words sorted at once

const byCount = (a, b) => b.count - a.count || (a.word < b.word ? -1 : a.word > b.word ? 1 : 0)

/** Items, most frequent first, with what finding and sorting need. @param {Item[]} items @param {string} [language] */
export function prepare(items, language) {
  const { compare } = new Intl.Collator(language)
  const inOrder = (a, b) => compare(items[a].word, items[b].word) || a - b
  /** @type {Uint32Array | null} */
  let alphabet = null
  /** @type {string[]} */
  const keys = []
  /** @type {Promise<void> | null} */
  let warming = null
  return {
    items,
    key(index) {
      keys[index] ??= searchKey(items[index].word)
      return keys[index]
    },
    /** Indexes in the order of a dictionary of the language. */
    get alphabet() {
      alphabet ??= Uint32Array.from(items.keys()).sort(inOrder)
      return alphabet
    },
    /** Whether the order of a dictionary can be had at once. */
    get sorted() {
      return alphabet !== null || items.length <= PIECE
    },
    /** Has keys and alphabet ready before they are asked for, without holding anybody up. */
    warm(pause) {
      warming ??= prepareAhead(pause)
      return warming
    },
  }

  async function prepareAhead(pause) {
    for (let at = 0; at < items.length; at++) {
      if (at % PIECE === 0) await pause()
      keys[at] ??= searchKey(items[at].word)
    }
    const sorted = await sortInPieces(Uint32Array.from(items.keys()), inOrder, pause)
    alphabet ??= sorted
  }
}

// A merge sort in pieces of some milliseconds: collating 50,000 words takes a fifth of a second.
async function sortInPieces(indexes, compare, pause) {
  let runs = []
  for (let at = 0; at < indexes.length; at += PIECE) {
    await pause()
    runs.push(indexes.slice(at, at + PIECE).sort(compare))
  }
  while (runs.length > 1) {
    const merged = []
    for (let at = 0; at < runs.length; at += 2) {
      await pause()
      merged.push(runs[at + 1] ? await merge(runs[at], runs[at + 1], compare, pause) : runs[at])
    }
    runs = merged
  }
  return runs[0] ?? indexes
}

async function merge(one, other, compare, pause) {
  const merged = new Uint32Array(one.length + other.length)
  let [i, j] = [0, 0]
  for (let at = 0; at < merged.length; at++) {
    if (at % PIECE === PIECE - 1) await pause()
    const first = j >= other.length || (i < one.length && compare(one[i], other[j]) <= 0)
    merged[at] = first ? one[i++] : other[j++]
  }
  return merged
}

/** What the chips leave: indexes in order, rank by index (0: left out), the sum of the counts. */
export function choose(list, { common, min }) {
  const { items } = list
  const ranks = new Uint32Array(items.length)
  const indexes = []
  let sum = 0
  for (let index = 0; index < items.length; index++) {
    const item = items[index]
    if (item.count < min || (item.stop && !common)) continue
    ranks[index] = indexes.push(index)
    sum += item.count
  }
  return { list, ranks, indexes, sum }
}

/** Indexes of the chosen words that hold the text, by 'count', by 'word', or by how many 'pages' have them. */
export function find(chosen, text, sort) {
  const { list, indexes } = chosen
  const wanted = searchKey(text.trim())
  const held = wanted ? indexes.filter((index) => list.key(index).includes(wanted)) : indexes
  if (sort === 'word') return inAlphabet(list, held)
  if (sort !== 'pages') return held
  const spread = (index) => list.items[index].documents ?? list.items[index].counts?.filter(Boolean).length ?? 0
  return held.slice().sort((a, b) => spread(b) - spread(a) || a - b)
}

// Texts are looked at in the order of the list, as they lie in memory, and only marks in the order of the alphabet.
function inAlphabet(list, indexes) {
  const marks = new Uint8Array(list.items.length)
  for (const index of indexes) marks[index] = 1
  return list.alphabet.filter((index) => marks[index])
}

/** Bins [{from, to, words, sum}]: how many words occur once, twice, 3–4, 5–8 times …, and how much text they are. */
export function histogram(items) {
  const bins = []
  for (const { count } of items) {
    const bin = 32 - Math.clz32(count - 1) // the logarithm to base two, rounded up
    while (bins.length <= bin) {
      const to = 2 ** bins.length
      bins.push({ from: bins.length ? to / 2 + 1 : 1, to, words: 0, sum: 0 })
    }
    bins[bin].words += 1
    bins[bin].sum += count
  }
  return bins
}

/** Ranks to draw, at most some hundreds: all of the first, then evenly on a log axis, and the last. */
export function ranksToDraw(total) {
  const ranks = []
  for (let rank = 1; rank <= total; rank = Math.max(rank + 1, Math.round(rank * 1.03))) ranks.push(rank)
  if (ranks.length && ranks.at(-1) !== total) ranks.push(total)
  return ranks
}

/**
 * The straight line through count by rank on log axes, by least squares over the ranks that are drawn, which lie evenly
 * on the axis: {slope, at(rank)}, or null where there are too few words or no difference.
 */
export function fitted(counts) {
  const ranks = ranksToDraw(counts.length)
  if (ranks.length < 5 || counts[0] === counts.at(-1)) return null
  const points = ranks.map((rank) => [Math.log(rank), Math.log(counts[rank - 1])])
  const mean = (axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const slope = points.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0) / points.reduce((sum, [a]) => sum + (a - x) ** 2, 0)
  return { slope, at: (rank) => Math.exp(y + slope * (Math.log(rank) - x)) }
}

/** How many of the most frequent words make up half of all. counts, highest first. */
export function wordsInHalf(counts) {
  const half = counts.reduce((sum, count) => sum + count, 0) / 2
  let sum = 0
  return counts.findIndex((count) => {
    sum += count
    return sum >= half
  }) + 1
}

/** What two spellings share that differ in case only: the API's rule, held by tests/cases.json for both. */
export function makeFold(language) {
  const dotted = ['tr', 'az'].includes(language?.split('-')[0])
  // Unicode's full folding, a character at a time: there and back again, ß becomes ss and ς becomes σ; ı stays.
  const known = new Map([['ı', 'ı']])
  if (dotted) known.set('I', 'ı').set('İ', 'i')
  const one = (character) => {
    if (!known.has(character)) known.set(character, character.toLowerCase().toUpperCase().toLowerCase())
    return known.get(character)
  }
  return (word) => (!dotted && /^[\0-\x7f]*$/.test(word) ? word.toLowerCase() : Array.from(word, one).join('').normalize('NFC'))
}

/**
 * Several pages' items [{language, items}] as one list, the most frequent spelling shown, with the counts by page. A word
 * that is common in one page's language and none in another's stays two: German "die" hides no English one.
 */
export function together(pages, fold = true) {
  const all = new Map()
  pages.forEach(({ language, items }, page) => {
    const key = fold ? makeFold(language) : (word) => word
    for (const { word, count, stop } of items) {
      const name = `${stop ? 1 : 0}${key(word)}`
      const known = all.get(name) ?? { word, most: 0, count: 0, stop, counts: new Array(pages.length).fill(0) }
      all.set(name, known)
      known.count += count
      known.counts[page] += count
      if (count > known.most || (count === known.most && word < known.word)) Object.assign(known, { word, most: count })
    }
  })
  return [...all.values()].sort(byCount)
}

/** The words as CSV; what a spreadsheet would take for a formula gets an apostrophe before it. */
export function toCsv(rows) {
  const cell = (text) => {
    const safe = /^[=+\-@＝＋－＠\t\r]/.test(text) ? `'${text}` : text
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  const lines = rows.map(({ word, count, share, stop_word }) => [cell(word), count, share.toFixed(8), stop_word].join(','))
  return ['word,count,share,stop_word', ...lines, ''].join('\r\n')
}
