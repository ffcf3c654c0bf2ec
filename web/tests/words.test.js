// What the page does with words by itself, held against the cases that the API is held against too.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { choose, find, fitted, histogram, prepare, together, toCsv, wordsInHalf } from '../src/words.js'
import { searchKey } from '../src/say.js'

const CASES = JSON.parse(readFileSync(new URL('../../tests/cases.json', import.meta.url), 'utf8'))
const item = ([word, count, stop = false]) => ({ word, count, stop })

for (const { language, counts, words } of CASES.folded) {
  test(`case is folded and the most frequent spelling shown: ${Object.keys(counts)}`, () => {
    const items = Object.entries(counts).map(item)
    assert.deepEqual(together([{ language, items }]).map(({ word, count }) => [word, count]), words)
  })
}

test('a CSV runs no formula and keeps every word', () => {
  const rows = CASES.csv.map(([word]) => ({ word, count: 1, share: 1 / 3, stop_word: false }))
  const wanted = CASES.csv.map(([, cell]) => `${cell},1,0.33333333,false\r\n`).join('')
  assert.equal(toCsv(rows), `word,count,share,stop_word\r\n${wanted}`)
})

test('several pages are one list, with the counts by page', () => {
  const all = together([
    { language: 'en', items: [['The', 3, true], ['die', 2]].map(item) },
    { language: 'de', items: [['die', 9, true], ['the', 1]].map(item) },
  ])
  assert.deepEqual(all.map(({ word, count, stop, counts }) => [word, count, stop, counts]), [
    ['die', 9, true, [0, 9]], // a common word of one language hides no word of another
    ['The', 3, true, [3, 0]],
    ['die', 2, false, [2, 0]],
    ['the', 1, false, [0, 1]],
  ])
})

test('finding forgives case and accents, and keeps what spells another word', () => {
  assert.equal(searchKey('CAFÉ'), 'cafe')
  assert.equal(searchKey('العَرَبِيَّة'), searchKey('العربية'))
  assert.notEqual(searchKey('कि'), searchKey('की'))
  assert.notEqual(searchKey('ば'), searchKey('は'))
})

test('chips choose, and words sort as the language does', () => {
  const list = prepare([['the', 9, true], ['zebra', 3], ['åka', 2], ['Äpple', 2], ['once', 1]].map(item), 'sv')
  const chosen = choose(list, { common: false, min: 2 })
  const shown = (sort, text = '') => Array.from(find(chosen, text, sort), (index) => list.items[index].word)
  assert.deepEqual(shown('count'), ['zebra', 'åka', 'Äpple'])
  assert.deepEqual(shown('word'), ['zebra', 'åka', 'Äpple'])
  assert.deepEqual(shown('count', 'APP'), ['Äpple'])
  assert.deepEqual([chosen.sum, chosen.ranks[1]], [7, 1])
})

test('a line is fitted to a law of Zipf, and to nothing where there is none', () => {
  const counts = Array.from({ length: 2000 }, (_, n) => 1e6 / (n + 1))
  assert.ok(Math.abs(fitted(counts).slope + 1) < 1e-9)
  assert.equal(fitted([1, 1, 1, 1, 1, 1]), null)
  assert.equal(fitted([3, 2]), null)
})

test('bins hold every word and every occurrence', () => {
  const items = [1, 1, 2, 3, 4, 5, 8, 9].map((count) => ({ count }))
  assert.deepEqual(histogram(items), [
    { from: 1, to: 1, words: 2, sum: 2 },
    { from: 2, to: 2, words: 1, sum: 2 },
    { from: 3, to: 4, words: 2, sum: 7 },
    { from: 5, to: 8, words: 2, sum: 13 },
    { from: 9, to: 16, words: 1, sum: 9 },
  ])
  assert.equal(wordsInHalf([5, 3, 2]), 1)
  assert.equal(wordsInHalf([4, 3, 3]), 2)
})
