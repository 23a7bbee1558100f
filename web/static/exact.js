// JSON from a person's hands: an integer that a browser's numbers cannot hold is refused, not rounded.
import { say } from './words.js'

const INTEGER = /^-?\d+$/

/** The value of a JSON text. Throws an Error that says what is wrong in words. */
export function parse(text) {
  return JSON.parse(text, (key, value, context) => {
    // Older browsers do not say how it was written: there a large one is taken for an integer.
    if (typeof value === 'number') check(context?.source ?? (Number.isInteger(value) ? BigInt(value).toString() : String(value)), value)
    return value
  })
}

/** A number as it was typed. Throws as `parse` does. */
export function numberOf(text) {
  check(text, Number(text))
  return Number(text)
}

function check(source, value) {
  if (INTEGER.test(source) && !Number.isSafeInteger(value)) throw new RangeError(say('tooExact', source))
}
