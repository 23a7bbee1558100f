// Into a loop and out of it. A loop's body is what its port “item” leads to, so this is a matter of connections.
import { TRAY } from '../canvas/layout.js'
import { boundsOf } from '../canvas/view.js'
import { say } from '../words.js'
import { fromOf, portOf, sameEdge, sourceOf } from './document.js'

const GAP = 32 // between a card and the next

/** Operations that put a node at the end of a loop's body. */
export function joining(board, id, tray) {
  const last = lastOf(board, id, tray)
  const box = last && board.boxes.get(last)
  const from = box ? fromOf(last, box.tray ? 'done' : box.ports[0]) : fromOf(tray, 'item')
  return [...loosened(board, id), { kind: 'add_edge', value: { from, to: id } }]
}

/** Operations that take a node, with its own body, from between its neighbours, which are connected instead. */
export function loosened(board, id) {
  const { edges } = board.store.doc
  const isTray = board.boxes.get(id).tray
  const into = edges.filter(({ to }) => to === id)
  const out = edges.filter((edge) => sourceOf(edge) === id && !(isTray && portOf(edge) === 'item'))
  const healed = into.length === 1 || out.length === 1 ? into.flatMap(({ from }) => out.map(({ to }) => ({ from, to }))) : []
  const fresh = healed.filter((edge, index) => ![...edges, ...healed.slice(0, index)].some((other) => sameEdge(edge, other)))
  return [...into, ...out].map((value) => ({ kind: 'remove_edge', value })).concat(fresh.map((value) => ({ kind: 'add_edge', value })))
}

/** The loops that could take a node in: not its own body's, and not the one that it is in. */
export function takers(board, id) {
  const inside = new Set(board.withBodies([id]))
  return [...board.boxes].filter(([each, box]) => box.tray && !inside.has(each) && board.boxes.get(id).loop !== each).map(([each]) => each)
}

/** How a selection is entered and left, as a loop's body has to be: by one node each. `why` says what is against it. */
export function wrapped(board, ids) {
  const { edges } = board.store.doc
  const chosen = new Set(board.withBodies(ids))
  const inner = edges.filter((edge) => chosen.has(sourceOf(edge)) && chosen.has(edge.to))
  const into = edges.filter((edge) => !chosen.has(sourceOf(edge)) && chosen.has(edge.to))
  const out = edges.filter((edge) => chosen.has(sourceOf(edge)) && !chosen.has(edge.to))
  const tops = ids.filter((id) => !chosen.has(board.boxes.get(id).loop))
  const entries = new Set(into.length ? into.map(({ to }) => to) : tops.filter((id) => !inner.some(({ to }) => to === id)))
  const exits = new Set(out.map(({ to }) => to))
  if (!ids.length || tops.some((id) => !board.element(id).querySelector(':scope > .port-in'))) return { why: say('wrapTrigger') }
  if (new Set(tops.map((id) => board.boxes.get(id).loop)).size > 1) return { why: say('wrapScopes') }
  if (entries.size !== 1) return { why: say('wrapIn', entries.size) }
  if (exits.size > 1) return { why: say('wrapOut', exits.size) }
  return { into, out, entry: [...entries][0], exit: [...exits][0] ?? '', bounds: boundsOf(tops.map((id) => board.boxes.get(id))) }
}

/** Where a node lies that joins a loop, or leaves one, without being dragged. */
export function spotIn(board, id, tray) {
  const box = board.boxes.get(id)
  const around = board.boxes.get(tray)
  const last = lastOf(board, id, tray)
  const before = last && board.boxes.get(last)
  const wished = before ? { x: before.x + before.width + GAP, y: before.y } : { x: around.x + TRAY.left, y: around.y + TRAY.top }
  return board.freeSpot(wished, box, tray)
}

export function spotBelow(board, id, tray) {
  const around = board.boxes.get(tray)
  return board.freeSpot({ x: around.x, y: around.y + around.height + GAP }, board.boxes.get(id))
}

/** The rightmost node of a body that leads nowhere and could; undefined where there is none. */
function lastOf(board, id, tray) {
  const leads = new Set(board.links().map(({ from }) => from))
  const ends = [...board.boxes].filter(([each, box]) => box.loop === tray && each !== id && (box.tray || box.ports.length) && (!leads.has(each) || isEndingTray(board, each)))
  return ends.sort(([, one], [, other]) => other.x - one.x)[0]?.[0]
}

/** A loop inside of which only its body goes on. */
const isEndingTray = (board, id) => board.boxes.get(id).tray && !board.links().some(({ from, port }) => from === id && port !== 'item')
