// Which connections can be, and why others cannot. The server has the last word; this is for the hand on the mouse.
import { portOf, sourceOf } from './document.js'
import { say } from './words.js'

/** Why there can be no connection from a port to a node; '' where there can. */
export function refusal(board, from, port, to) {
  const { doc } = board.store
  const title = board.titleOf
  if (from === to) return say('itself')
  if (!board.element(to)?.querySelector('.port-in, .is-new')) return say('trigger', title(to))
  if (doc.edges.some((edge) => edge.to === to && sourceOf(edge) === from && portOf(edge) === port)) return say('already', title(from), title(to))
  if (reaches(doc, to, from)) return say('circle', title(to), title(from))
  const source = board.boxes.get(from)
  const target = board.boxes.get(to)
  const home = port === 'item' && source.tray ? from : source.loop
  // A node without a way in may still be taken into the loop.
  if (home && target.loop !== home && doc.edges.some((edge) => edge.to === to)) return say('leak', title(home), title(to))
  return ''
}

/** Whether one node leads to another. */
export function reaches(doc, from, to) {
  const seen = new Set([from])
  const stack = [from]
  while (stack.length) {
    const id = stack.pop()
    if (id === to) return true
    for (const edge of doc.edges) {
      if (sourceOf(edge) === id && !seen.has(edge.to)) {
        seen.add(edge.to)
        stack.push(edge.to)
      }
    }
  }
  return false
}

/** All that a node leads to, itself included. */
export function downstream(doc, from) {
  return doc.nodes.map(({ id }) => id).filter((id) => reaches(doc, from, id))
}
