// Stands in for d3-interpolate and d3-format when the page is bundled: our scales turn numbers into numbers, and Intl
// writes them. What d3-scale would bring for colours and formats is more than all of the page's own code.

export const interpolateNumber = (a, b) => ((a = +a), (b = +b), (t) => a * (1 - t) + b * t)
export const interpolate = interpolateNumber
export const interpolateRound = (a, b) => (t) => Math.round(interpolateNumber(a, b)(t))

const notHere = () => {
  throw new Error('not in this page: scales are of numbers, and say.js writes them')
}
export const piecewise = notHere
export const format = notHere
export const formatPrefix = notHere
export const formatSpecifier = notHere
export const precisionFixed = notHere
export const precisionPrefix = notHere
export const precisionRound = notHere
