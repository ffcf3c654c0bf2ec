// What went wrong, in words that help: of a job that failed and of a request. Pure.
import { hostOf, visible } from './say.js'

const SITE_AGAIN = 'Try again later.'
/** @type {[RegExp, (kind: string) => string][]} */
const KINDS = [
  [/image\/([\w+-]+)/, (kind) => `This is ${article(kind)} ${kind.toUpperCase()} image`],
  [/application\/pdf/, () => 'This is a PDF file'],
  [/audio\/|video\//, () => 'This is a sound or a film'],
]
const article = (kind) => (/^[aefhilmnorsx]/i.test(kind) && kind.length <= 4 && !/^(jpeg|webp)/i.test(kind) ? 'an' : 'a')

function notText({ detail = '' }) {
  for (const [pattern, say] of KINDS) {
    const found = pattern.exec(detail)
    if (found) return `${say(found[1]?.replace(/\+.*/, ''))}; only pages and plain text can be counted.`
  }
  return 'The site didn’t say what kind of file this is, and it isn’t text.'
}

function httpStatus({ status, detail = '' }) {
  const code = status ?? Number(/\b([45]\d\d)\b/.exec(detail)?.[1])
  if (code === 404 || code === 410) return [`Page not found (${code})`, 'Check the address.', false]
  if (code === 401 || code === 403) return [`The site refused us (${code})`, 'It may ask for a login, or want no robots.', false]
  if (code === 429) return [`The site is too busy (${code})`, SITE_AGAIN, true]
  if (code >= 500) return [`The site has a problem (${code})`, SITE_AGAIN, true]
  return [`The site answered with an error (${code || 'unknown'})`, 'Check the address, or try again later.', true]
}

// title, detail, whether the same again may help
const FAILED = {
  'http-status': httpStatus,
  'dns-failed': (_, url) => ['Site not found', `There is no site called ${hostOf(url)}. Check the spelling.`, false],
  'not-text': (error) => ['Not a web page', notText(error), false],
  'too-large': ({ detail = '' }) => ['The page is too large', `${detail} You can paste the part that matters.`.trim(), false],
  timeout: () => ['The site didn’t answer in time', 'The site didn’t answer within 20 seconds. It may be quicker later.', true],
  'connection-failed': () => ['No connection to the site', 'The site closed the connection, or doesn’t accept one. Try again later.', true],
  'too-many-redirects': () => ['Too many redirects', 'The site sends us from one address to the next.', false],
  'address-refused': (error, url) =>
    /private|not public/.test(error.detail ?? '')
      ? ['This address can’t be fetched', `${hostOf(url)} is a private address, which can’t be fetched.`, false]
      : ['This address can’t be fetched', error.detail, false],
  'bad-encoding': (error) => ['The page can’t be read', error.detail, false],
  'bad-selector': (error) => ['The selector doesn’t work', `${error.detail ?? ''}. Check the CSS selectors under Options.`, false],
  'worker-lost': () => ['The page was too much for us', 'You can paste a part of it.', true],
  internal: () => ['Something went wrong on our side', 'It has been logged. Try again.', true],
}

/** {title, detail, retry} of a job that did not succeed. */
export function failure(job) {
  if (job.state === 'canceled') return { title: 'Canceled', detail: 'Nothing was counted.', retry: true }
  const error = job.error ?? {}
  const [title, detail, retry] = FAILED[error.type]?.(error, job.url ?? '') ?? [error.title ?? 'This could not be counted', error.detail, true]
  return { title, detail: visible(detail ?? '', 1000), retry }
}

/** {title, detail, retry} of a result that cannot be shown, by the API's refusal or the connection's. */
export function missing(error) {
  if (error.status === 404 || error.status === 410) {
    return { title: 'Result not found', detail: 'It may have expired, been deleted, or belong to someone else.', retry: false }
  }
  return { title: error.status === 429 ? 'Too many requests' : 'This can’t be shown now', detail: said(error), retry: true }
}

/** An error of a request as a sentence. */
export function said(error) {
  if (error.status === 500) return 'Something went wrong on our side. It has been logged.'
  if (error.status === 503) return 'The service is briefly unavailable. Please try again.'
  return error.message
}

// The API speaks to programs; the same to a person, by what it says of which field.
/** @type {[RegExp, string, RegExp?][]} */
const FIELD = [
  [/language tag/, 'Use a language code such as en or pt-BR.'],
  [/page|HTML|plain text/, 'Selectors work on web pages only, not on pasted text.', /select|ignore|content/],
  [/too large|too long|4.5 MB/, 'This text is too long: 4 MB at most.'],
  [/OBJECT_STORE/, 'This service counts 5 pages at once at most.'],
  [/host/, 'That doesn’t look like a web address.'],
]

export function fieldError(pointer, detail = '') {
  const found = FIELD.find(([pattern, , where]) => pattern.test(detail) && (!where || where.test(pointer)))
  if (found) return found[1]
  return detail ? `${detail[0].toUpperCase()}${detail.slice(1)}` : 'This can’t be used.'
}
