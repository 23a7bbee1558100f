// What is wrong with typed JSON, in words.
import { say } from '../words.js'

/** What is wrong with the JSON, and where; empty if nothing is. */
export function mistakeIn(text) {
  try {
    JSON.parse(text)
    return ''
  } catch (error) {
    const at = /position (\d+)/.exec(error.message)?.[1]
    const reason = error.message.replace(/ in JSON at.*| at position.*|JSON\.parse: /g, '')
    if (at === undefined) return say('notJson', reason)
    const before = text.slice(0, Number(at)).split('\n')
    return say('notJsonAt', before.length, before.at(-1).length + 1, reason)
  }
}
