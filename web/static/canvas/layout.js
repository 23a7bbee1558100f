// Where every card and tray lies. From the document where it says so, else by dagre, scope by scope: a loop's
// body first, since its size is the size of the tray in the scope around it.

export const CARD = { width: 184, height: 68 }
const ROW_GAP = 38 // a card and its caption make a row of 106
const COLUMN_GAP = 40
const PORT_STEP = 16
export const TRAY = { left: 40, top: 58, right: 36, bottom: 62 }
const EMPTY_TRAY = { width: 264, height: 158 }
const MANY = 200 // nodes of one scope, from which on the faster ranker is taken

/** All boxes by node id, placed: {x, y, width, height, loop, tray, mid, ports}. `mid` is the height of a tray's ports. */
export async function layOut(world) {
  const boxes = new Map()
  for (const element of world.querySelectorAll('[data-node]')) boxes.set(element.dataset.node, boxOf(element))
  if (world.classList.contains('is-placed')) wrapTrays(boxes)
  else await placeAll(boxes, [...world.querySelectorAll('.edge')].map(({ dataset }) => dataset))
  for (const box of boxes.values()) applyBox(box)
  return boxes
}

/** The box of a card or tray; it lies where its element says, at the origin without that. */
export function boxOf(element, position) {
  const ports = [...element.querySelectorAll(':scope > .port-out')].map((port) => port.dataset.port)
  const { loop, tray } = element.dataset
  const { x, y } = position ?? element.dataset
  const isTray = tray !== undefined
  const size = isTray ? EMPTY_TRAY : { width: CARD.width, height: Math.max(CARD.height, PORT_STEP * ports.length + 12) }
  return { element, loop: loop ?? '', tray: isTray, ports, x: Number(x ?? 0), y: Number(y ?? 0), mid: isTray ? 92 : CARD.height / 2, ...size }
}

const within = (boxes, loop) => [...boxes].filter(([, box]) => box.loop === loop)

/** The ids of all that lies in a loop's tray, at any depth. */
export function insideOf(boxes, loop) {
  return within(boxes, loop).flatMap(([id, box]) => (box.tray ? [id, ...insideOf(boxes, id)] : [id]))
}

/** Put every tray around its body, the innermost first. */
export function wrapTrays(boxes) {
  const bodies = new Map()
  for (const [, box] of boxes) if (box.loop) bodies.set(box.loop, [...(bodies.get(box.loop) ?? []), box])
  const done = new Set()
  const wrapped = (id) => {
    const box = boxes.get(id)
    if (!box || done.has(id)) return
    done.add(id)
    const inner = bodies.get(id) ?? []
    for (const each of inner) if (each.tray) wrapped(idOf(each))
    if (inner.length) wrap(box, inner)
    else Object.assign(box, EMPTY_TRAY, { mid: 92 })
  }
  for (const [id, box] of boxes) if (box.tray) wrapped(id)
}

const idOf = (box) => box.element.dataset.node

function wrap(box, inner) {
  const left = Math.min(...inner.map((b) => b.x))
  const top = Math.min(...inner.map((b) => b.y))
  const right = Math.max(...inner.map((b) => b.x + b.width))
  const bottom = Math.max(...inner.map((b) => b.y + b.height))
  box.x = left - TRAY.left
  box.y = top - TRAY.top
  box.width = right - left + TRAY.left + TRAY.right
  box.height = bottom - top + TRAY.top + TRAY.bottom
  box.mid = TRAY.top + (bottom - top) / 2
}

/** Place everything anew by dagre; `edges` are {from, port, to}. */
export async function placeAll(boxes, edges) {
  const dagre = await import('@dagrejs/dagre')
  place('')

  function place(loop) {
    const here = within(boxes, loop)
    for (const [id, box] of here) if (box.tray) place(id)
    const graph = new dagre.graphlib.Graph()
    graph.setGraph({ rankdir: 'LR', nodesep: ROW_GAP, ranksep: COLUMN_GAP, ranker: here.length > MANY ? 'tight-tree' : 'network-simplex' })
    graph.setDefaultEdgeLabel(() => ({}))
    for (const [id, { width, height }] of here) graph.setNode(id, { width, height })
    const own = edges.filter(({ from, to }) => graph.hasNode(from) && graph.hasNode(to))
    for (const { from, to } of own) graph.setEdge(from, to)
    dagre.layout(graph)
    // dagre knows no ports. Of its drawing and the mirrored one, the one whose branches stand in the ports' order.
    const sign = inversions(own, graph, boxes) * 2 > pairs(own, boxes) ? -1 : 1
    for (const [id, box] of here) move(id, Math.round(graph.node(id).x - box.width / 2), Math.round(sign * graph.node(id).y - box.height / 2))
    if (loop && here.length) wrap(boxes.get(loop), here.map(([, box]) => box))
  }

  /** A tray takes its body along. */
  function move(id, x, y) {
    const box = boxes.get(id)
    const [dx, dy] = [x - box.x, y - box.y]
    box.x = x
    box.y = y
    for (const [inner, { x: ix, y: iy }] of within(boxes, id)) move(inner, ix + dx, iy + dy)
  }
}

/** Each two edges that leave one node, in the order of their ports (of the document, from one port). */
function* siblings(edges, boxes) {
  const leaving = Map.groupBy ? Map.groupBy(edges, ({ from }) => from) : groupBySource(edges)
  for (const group of leaving.values()) {
    for (const [index, first] of group.entries()) {
      for (const second of group.slice(index + 1)) {
        if (first.to === second.to) continue
        const box = boxes.get(first.from)
        yield portHeight(box, first.port) <= portHeight(box, second.port) ? [first, second] : [second, first]
      }
    }
  }
}

function groupBySource(edges) {
  const groups = new Map()
  for (const edge of edges) groups.set(edge.from, [...(groups.get(edge.from) ?? []), edge])
  return groups
}

const pairs = (edges, boxes) => [...siblings(edges, boxes)].length
const inversions = (edges, graph, boxes) => [...siblings(edges, boxes)].filter(([upper, lower]) => graph.node(upper.to).y > graph.node(lower.to).y).length

/** Write a box to its element: place, size, and where the ports sit. */
export function applyBox(box) {
  const { element, tray } = box
  const place = `translate(${box.x}px, ${box.y}px)`
  if (box.place !== place) element.style.transform = box.place = place
  if (box.drawn === `${box.width} ${box.height} ${box.mid}`) return
  box.drawn = `${box.width} ${box.height} ${box.mid}`
  if (tray) {
    element.style.width = `${box.width}px`
    element.style.height = `${box.height}px`
  } else {
    element.firstElementChild.style.height = `${box.height}px`
  }
  const input = element.querySelector(':scope > .port-in')
  if (input) input.style.top = `${(tray ? box.mid : box.height / 2) - 6}px`
  for (const port of element.querySelectorAll(':scope > .port-out')) port.style.top = `${portHeight(box, port.dataset.port) - 6}px`
}

/** How far below the box's top the port lies. */
export function portHeight(box, name) {
  const { ports } = box
  if (box.tray) return box.mid + (name === 'error' ? 28 : 0)
  const place = Math.max(0, ports.indexOf(name))
  return ports.length < 2 ? box.height / 2 : (box.height / 2) + (place - (ports.length - 1) / 2) * Math.max(PORT_STEP, 28 / (ports.length - 1))
}
