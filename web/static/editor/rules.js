// Which connections can be, and why others cannot. The server has the last word; this is for the hand on the mouse.
import { portOf, sourceOf } from './document.js'
import { say } from '../words.js'

/** Why there can be no connection from a port to a node; '' where there can. */
export function refusal(board, from, port, to) {
  const { doc } = board.store
  const { leaving, arriving } = linksOf(doc)
  const title = board.titleOf
  if (from === to) return say('itself')
  if (!board.element(to)?.querySelector('.port-in, .is-new')) return say('trigger', title(to))
  if (leaving.get(from)?.some((edge) => edge.to === to && portOf(edge) === port)) return say('already', title(from), title(to))
  if (upstream(doc, from).has(to)) return say('circle', title(to), title(from))
  const source = board.boxes.get(from)
  const target = board.boxes.get(to)
  const home = port === 'item' && source.tray ? from : source.loop
  // A node without a way in may still be taken into the loop.
  if (home && target.loop !== home && arriving.has(to)) return say('leak', title(home), title(to))
  return ''
}

/** All that a node leads to, itself included, in the document's order. */
export function downstream(doc, from) {
  const { leaving } = linksOf(doc)
  const found = reached(from, (id) => leaving.get(id)?.map(({ to }) => to))
  return doc.nodes.map(({ id }) => id).filter((id) => found.has(id))
}

/** All that leads to a node, itself included. It is asked once for each card while a line is drawn. */
function upstream(doc, id) {
  const { arriving, ancestors } = linksOf(doc)
  if (!ancestors.has(id)) ancestors.set(id, reached(id, (each) => arriving.get(each)?.map(sourceOf)))
  return ancestors.get(id)
}

function reached(start, next) {
  const seen = new Set([start])
  // A set is gone through in the order of its growth, with what is added meanwhile.
  for (const id of seen) for (const other of next(id) ?? []) seen.add(other)
  return seen
}

const known = new WeakMap() // by the list of edges: a changed document has another one

function linksOf({ edges }) {
  if (!known.has(edges)) known.set(edges, { leaving: grouped(edges, sourceOf), arriving: grouped(edges, ({ to }) => to), ancestors: new Map() })
  return known.get(edges)
}

function grouped(edges, keyOf) {
  const groups = new Map()
  for (const edge of edges) {
    const key = keyOf(edge)
    if (groups.has(key)) groups.get(key).push(edge)
    else groups.set(key, [edge])
  }
  return groups
}

/** Where a new node hangs that comes behind that one: at its free port, of a loop behind all of it; null where it has none. */
export function behindNode(board, from) {
  const box = board.boxes.get(from)
  if (!box?.ports.length) return null
  const free = box.ports.find((port) => !board.links().some((edge) => edge.from === from && edge.port === port))
  return { from, port: box.tray ? 'done' : free ?? box.ports[0] }
}
