// Numbers, times and words as a reader sees them.

const whole = new Intl.NumberFormat('en')
const precise = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 })
const moment = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' })

export const number = (value) => whole.format(value)
export const plural = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`
export const when = (time) => (time ? moment.format(new Date(time)) : '')

/** A share (0 to 1) of `all` words as per cent, with no more digits than so many words can have. */
export function share(value, all = Infinity) {
  if (value > 0 && value < 0.00005) return '<0.01%'
  const digits = all < 200 ? 0 : all < 2000 ? 1 : 2
  return `${(100 * value).toFixed(value === 1 ? 0 : digits)}%`
}

/** How many times more: 3.2×. */
export const factor = (value) => `${value < 10 ? precise.format(value) : number(Math.round(value))}×`

export function times(from, to = from) {
  if (to === 1) return 'once'
  if (from === 2 && to === 2) return 'twice'
  return `${from === to ? number(from) : `${number(from)}–${number(to)}`} times`
}

/** 'a', 'a and b', 'a, b and c' as parts of which every second is a word of the page. */
export const listed = (words) =>
  words.flatMap((word, at) => [at === 0 ? '' : at === words.length - 1 ? ' and ' : ', ', word])

export function readingTime(words) {
  const minutes = Math.round(words / 230)
  if (minutes < 1) return 'less than a minute'
  return minutes < 90 ? `about ${plural(minutes, 'minute')}` : `about ${plural(Math.round(minutes / 60), 'hour')}`
}

export const elapsed = (seconds) => {
  const full = Math.max(0, Math.floor(seconds))
  return full < 60 ? `${full} s` : `${Math.floor(full / 60)} min ${full % 60} s`
}

/** The tag if a browser can use it: a page may declare anything as its language. */
export function knownLanguage(tag) {
  try {
    return Intl.getCanonicalLocales(tag)[0]
  } catch {
    return undefined
  }
}

/** The host that an address names, as a browser reads it; what was given where it names none. @param {string} address */
export function hostOf(address) {
  try {
    return new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`).hostname
  } catch {
    return address
  }
}

export function languageName(tag) {
  try {
    return new Intl.DisplayNames('en', { type: 'language' }).of(tag)
  } catch {
    return tag
  }
}

const MARKS = /[\u0300-\u036f\u0591-\u05c7\u064b-\u0652]/g // accents and vowel points, which who searches leaves out

/** How a word is searched: without case and accents. @param {string} word */
export const searchKey = (word) =>
  /^[\0-\x7f]*$/.test(word) ? word.toLowerCase() : word.normalize('NFD').replace(MARKS, '').toLowerCase().normalize('NFC')

// What has no width or turns the direction of its neighbours. Joiners inside the scripts that spell with them stay.
const INVISIBLE = new RegExp(
  '[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b\\u200e\\u200f' +
    '\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}' +
    '\\u{e0000}-\\u{e00ff}\\u{d800}-\\u{dfff}]|(?<![\\u0600-\\u08ff\\u0900-\\u109f\\u1780-\\u17ff\\u1800-\\u18af' +
    '\\u{1f000}-\\u{1faff}\\u2600-\\u27bf\\ufb50-\\ufdff\\ufe0f])[\\u200c\\u200d]',
  'gu',
)

/** The word with what cannot be seen spelt out as ‹U+200B›, and cut where it is too long to be looked at. */
export function visible(word, longest = 80) {
  const cut = word.length > longest ? `${[...word.slice(0, 2 * longest)].slice(0, longest).join('')}…` : word
  return cut.replace(INVISIBLE, (found) => `‹U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}›`)
}
