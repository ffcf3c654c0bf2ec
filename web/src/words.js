// The words of a page, pure: fold case, choose, find, sort, count how often counts occur. Made for 50,000 distinct
// words at a key stroke, so what can be known before is computed once for each list.

const PIECE = 2048 // words sorted at once

const byCount = (a, b) => b.count - a.count || (a.word < b.word ? -1 : a.word > b.word ? 1 : 0)

/** A list [{word, count, stop}], most frequent first, with what finding and sorting need. */
function prepare(items, fold) {
  const keys = items.map((item) => fold(item.word))
  const { compare } = new Intl.Collator()
  const inOrder = (a, b) => compare(keys[a], keys[b]) || a - b
  let alphabet = null
  return {
    items,
    keys,
    /** Indexes in the order of a dictionary. */
    get alphabet() {
      return (alphabet ??= Uint32Array.from(items.keys()).sort(inOrder))
    },
    /** Has the alphabet ready before it is asked for, without holding anybody up. */
    async prepareAlphabet(pause) {
      const sorted = await sortInPieces(Uint32Array.from(items.keys()), inOrder, pause)
      alphabet ??= sorted
    },
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
      merged.push(runs[at + 1] ? merge(runs[at], runs[at + 1], compare) : runs[at])
    }
    runs = merged
  }
  return runs[0] ?? indexes
}

function merge(one, other, compare) {
  const merged = new Uint32Array(one.length + other.length)
  let [i, j] = [0, 0]
  for (let at = 0; at < merged.length; at++) {
    const first = j >= other.length || (i < one.length && compare(one[i], other[j]) <= 0)
    merged[at] = first ? one[i++] : other[j++]
  }
  return merged
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

/** Both lists of a page: each spelling, and those that differ in case together, under the most frequent of them. */
export function makeLists(words, language) {
  const fold = makeFold(language)
  const kept = prepare([...words].sort(byCount), fold)
  const folded = new Map()
  kept.items.forEach(({ word, count, stop }, index) => {
    const key = kept.keys[index]
    const known = folded.get(key)
    if (!known) folded.set(key, { word, count, stop })
    else {
      known.count += count
      known.stop ||= stop
    }
  })
  return { kept, folded: prepare([...folded.values()].sort(byCount), fold), fold }
}

/** What the switches leave: indexes and counts in order, rank by index (0: left out), the sum, the histogram's bins. */
export function choose(list, { stop, least }) {
  const { items } = list
  const ranks = new Uint32Array(items.length)
  const indexes = []
  const counts = []
  let sum = 0
  for (let index = 0; index < items.length; index++) {
    const item = items[index]
    if (item.count < least || (item.stop && !stop)) continue
    counts.push(item.count)
    ranks[index] = indexes.push(index)
    sum += item.count
  }
  return { list, ranks, indexes, counts, sum, bins: histogram(counts) }
}

/** Indexes of the chosen words that hold the text: by 'count', most frequent first, or by 'word'; or backwards. */
export function find(chosen, text, { sort, backwards }) {
  const { list, indexes } = chosen
  const held = text ? indexes.filter((index) => list.keys[index].includes(text)) : indexes
  const found = sort === 'word' ? inAlphabet(list, held) : held.slice()
  return backwards ? found.reverse() : found
}

// Texts are looked at in the order of the list, as they lie in memory, and only marks in the order of the alphabet.
function inAlphabet(list, indexes) {
  const marks = new Uint8Array(list.items.length)
  for (const index of indexes) marks[index] = 1
  return list.alphabet.filter((index) => marks[index])
}

/** Bins [{from, to, words}]: how many words occur once, twice, 3–4, 5–8 and so on, up to the most frequent. */
export function histogram(counts) {
  const bins = []
  for (const count of counts) {
    const bin = 32 - Math.clz32(count - 1) // the logarithm to base two, rounded up
    while (bins.length <= bin) {
      const to = 2 ** bins.length
      bins.push({ from: bins.length ? to / 2 + 1 : 1, to, words: 0 })
    }
    bins[bin].words += 1
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

/** The words as CSV; what a spreadsheet would take for a formula gets an apostrophe before it. */
export function toCsv(rows) {
  const cell = (text) => {
    const safe = /^[=+\-@＝＋－＠\t\r]/.test(text) ? `'${text}` : text
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  const lines = rows.map(({ word, count, share, stop_word }) => [cell(word), count, share.toFixed(8), stop_word].join(','))
  return ['word,count,share,stop_word', ...lines, ''].join('\r\n')
}
