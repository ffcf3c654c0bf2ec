// What was typed, pasted or dropped: addresses, or a text, or a document. Pure; the same rule is in http/page.py for
// those without JavaScript, and tests/cases.json holds both.

import { hostOf } from './say.js'

export const MOST_BYTES = 4_000_000 // of a text or a document, as UTF-8: what passes through API Gateway too

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\/\S+$/i
const HOST = /^(?:[\p{L}\p{N}\p{M}_-]+\.)+(?:\p{L}[\p{L}\p{N}\p{M}-]+|\d{1,3})(?::\d{1,5})?(?:[/?#]\S*)?$/u
const LOCAL = /^(?:localhost|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:[/?#]\S*)?$/i

/** Whether it can only be meant as an address. @param {string} token */
export const isAddress = (token) => SCHEME.test(token) || HOST.test(token) || LOCAL.test(token)

// As a browser writes hosts: an IPv4 address in any form is four decimal numbers.
const INSIDE = /^(?:0|10|127|169\.254|172\.(?:1[6-9]|2\d|3[01])|192\.168)\.[\d.]+$|(?:^|\.)(?:localhost|local|internal)$|^\[(?:::1?\]|f[cd]|fe[89ab])/

/** The first host that by its own looks is not public, or ''. Only the service knows which it fetches. @param {string} input */
export const insideHost = (input) => (classify(input).urls ?? []).map(hostOf).find((host) => INSIDE.test(host)) ?? ''

/** {urls} where all that is there are addresses, else {text}; {} for nothing. @param {string} input @returns {{urls?: string[], text?: string}} */
export function classify(input) {
  const text = input.trim()
  if (!text) return {}
  const tokens = text.length < 200_000 ? text.split(/\s+/u) : [text]
  return tokens.every(isAddress) ? { urls: [...new Set(tokens)] } : { text }
}

/**
 * What the API is sent for a file of that name and content: {urls}, {html} or {text}.
 * @param {string} name @param {string} content @returns {{urls?: string[], html?: string, text?: string}}
 */
export function classifyFile(name, content) {
  if (/\.x?html?$/i.test(name)) return { html: content }
  return classify(content)
}

/** The bytes of a file as text: as its mark, its document or UTF-8 says, else as Windows wrote Latin. */
export function decode(bytes) {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  const head = new TextDecoder('windows-1252').decode(bytes.subarray(0, 1024))
  const declared = /<meta[^>]+charset=["']?([\w-]+)/i.exec(head)?.[1]
  for (const [label, fatal] of [['utf-8', true], [declared, false], ['windows-1252', false]]) {
    try {
      if (label) return new TextDecoder(String(label), { fatal: Boolean(fatal) }).decode(bytes)
    } catch {
      // not in that encoding, or no such encoding
    }
  }
  return ''
}

/** Whether the bytes are those of a picture, an archive or a program. */
export const isBinary = (bytes) => {
  const head = bytes.subarray(0, 4096)
  const marked = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)
  return !marked && head.includes(0)
}
