// What the page does with words by itself, held against the cases that the API is held against too.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { makeLists, toCsv } from '../src/words.js'

const CASES = JSON.parse(readFileSync(new URL('../../tests/cases.json', import.meta.url), 'utf8'))

for (const { language, counts, words } of CASES.folded) {
  test(`case is folded and the most frequent spelling shown: ${Object.keys(counts)}`, () => {
    const rows = Object.entries(counts).map(([word, count]) => ({ word, count, stop: false }))
    const { folded } = makeLists(rows, language)
    assert.deepEqual(folded.items.map(({ word, count }) => [word, count]), words)
  })
}

test('a CSV runs no formula and keeps every word', () => {
  const rows = CASES.csv.map(([word]) => ({ word, count: 1, share: 1 / 3, stop_word: false }))
  const wanted = CASES.csv.map(([, cell]) => `${cell},1,0.33333333,false\r\n`).join('')
  assert.equal(toCsv(rows), `word,count,share,stop_word\r\n${wanted}`)
})
