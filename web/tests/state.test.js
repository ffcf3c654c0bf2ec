// What is looked at, from and to the address, and what was typed.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { failure, fieldError, missing } from '../src/advice.js'
import { classify, classifyFile, decode, insideHost, isBinary } from '../src/input.js'
import { listed, share, times } from '../src/say.js'
import { emptyState, readState, writeState } from '../src/state.js'

const CASES = JSON.parse(readFileSync(new URL('../../tests/cases.json', import.meta.url), 'utf8'))
const ID = '0123456789abcdef0123456789abcdef'

test('an address that by its own looks is not public is known in any form', () => {
  const inside = { 'localhost:80/x': 'localhost', 'printer.local': 'printer.local', '169.254.169.254/latest': '169.254.169.254',
    'http://2130706433/': '127.0.0.1', '[fe80::1]': '[fe80::1]', 'a.example http://172.31.0.9': '172.31.0.9' }
  for (const [typed, host] of Object.entries(inside)) assert.equal(insideHost(typed), host)
  for (const typed of ['10.example.com', 'a.example/localhost', '11.0.0.1', '172.32.0.1', '[2606:4700::1]', 'see http://10.0.0.1/', '', 'http://:/']) {
    assert.equal(insideHost(typed), '')
  }
})

test('a state comes back from its address', () => {
  const state = {
    jobs: [ID, ID.replace('0', 'f')], vs: ID, common: true, fold: false, min: 3, n: 2, find: 'a&b = ü', sort: 'word',
    add: ['naïve', 'x'], remove: ['the'], word: 'Straße, 1',
  }
  assert.deepEqual(readState(writeState(state)), state)
  assert.equal(writeState({ ...emptyState(), jobs: [`corpus:${ID}`] }), `?corpus=${ID}`)
  assert.equal(readState(`?job=${ID}&vs=corpus:${ID}`).vs, `corpus:${ID}`)
  assert.deepEqual(readState(`?corpus=${ID}&word=x`), { ...emptyState(), jobs: [`corpus:${ID}`], word: 'x' })
  assert.equal(writeState(emptyState()), '')
  assert.deepEqual(readState(''), emptyState())
})

test('an address that somebody made up is as usual', () => {
  assert.deepEqual(readState('?vs=x&min=-4&n=9&sort=up&case=maybe&common=yes'), emptyState())
  assert.deepEqual(readState(`?job=${ID},${ID},nonsense`).jobs, [ID])
  assert.deepEqual(readState('?job=nonsense').jobs, ['nonsense'])
})

for (const { typed, kind } of CASES.typed) {
  test(`what is typed is ${kind}: ${typed}`, () => {
    const { urls, text } = classify(typed)
    const found = urls ? (urls.length > 1 ? 'addresses' : 'address') : text ? 'text' : 'nothing'
    assert.equal(found, kind)
  })
}

test('a file is what its name and its bytes say', () => {
  const bytes = (...codes) => Uint8Array.from(codes)
  assert.deepEqual(classifyFile('a.HTM', '<p>x'), { html: '<p>x' })
  assert.deepEqual(classifyFile('list.txt', 'a.example\nb.example'), { urls: ['a.example', 'b.example'] })
  assert.equal(decode(bytes(0xff, 0xfe, 0x41, 0)), 'A')
  assert.equal(decode(bytes(0xe4)), 'ä')
  assert.equal(decode(new TextEncoder().encode('ä')), 'ä')
  assert.ok(isBinary(bytes(0x89, 0x50, 0)))
  assert.ok(!isBinary(bytes(0xff, 0xfe, 0x41, 0)))
})

test('failures are said in words, and only what may help can be tried again', () => {
  const failed = (type, more = {}, url = 'https://x.example/') => failure({ state: 'failed', url, error: { type, title: 't', detail: 'd', ...more } })
  assert.deepEqual(failed('http-status', { status: 404 }), { title: 'Page not found (404)', detail: 'Check the address.', retry: false })
  assert.equal(failed('http-status', { status: 503 }).title, 'The site has a problem (503)')
  assert.equal(failed('http-status', { status: 503 }).retry, true)
  assert.equal(failed('dns-failed').detail, 'There is no site called x.example. Check the spelling.')
  assert.equal(failed('not-text', { detail: 'The address holds no text but image/png.' }).detail, 'This is a PNG image; only pages and plain text can be counted.')
  assert.equal(failed('address-refused', { detail: 'not public (private)' }, '10.0.0.1').detail, '10.0.0.1 is a private address, which can’t be fetched.')
  assert.equal(failed('something-new').title, 't')
  assert.equal(missing({ status: 404 }).title, 'Result not found')
  assert.equal(fieldError('/language', 'is not a language tag'), 'Use a language code such as en or pt-BR.')
})

test('numbers are as precise as there are words', () => {
  assert.deepEqual([share(1 / 3, 5), share(0.0348, 3462), share(1), share(0.00001)], ['33%', '3.48%', '100%', '<0.01%'])
  assert.deepEqual([times(1), times(2), times(3, 4), times(5)], ['once', 'twice', '3–4 times', '5 times'])
  assert.deepEqual(listed(['a', 'b', 'c']), ['', 'a', ', ', 'b', ' and ', 'c'])
})
