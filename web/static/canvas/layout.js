// Where every card and tray lies. From the document where it says so, else by dagre, scope by scope: a loop's
// body first, since its size is the size of the tray in the scope around it.

const CARD = { width: 184, height: 68 }
const ROW_GAP = 38 // a card and its caption make a row of 106
const COLUMN_GAP = 40
const PORT_STEP = 16
export const TRAY = { left: 40, top: 58, right: 36, bottom: 62 }

/** All boxes by node id: {x, y, width, height, loop, tray, mid}. `mid` is the height of a tray's ports. */
export async function layOut(world) {
  const boxes = new Map()
  for (const element of world.querySelectorAll('[data-node]')) boxes.set(element.dataset.node, boxOf(element))
  if (world.classList.contains('is-placed')) placeFromDocument(boxes)
  // A tray needs more room than the card that a document may have been drawn with.
  if (!world.classList.contains('is-placed') || overlaps(boxes)) await placeByDagre(world, boxes)
  for (const box of boxes.values()) apply(box)
  return boxes
}

function boxOf(element) {
  const outputs = element.querySelectorAll(':scope > .port-out').length
  const { x, y, loop, tray } = element.dataset
  return {
    element, loop, tray: tray !== undefined, x: Number(x ?? 0), y: Number(y ?? 0), mid: CARD.height / 2,
    width: CARD.width, height: Math.max(CARD.height, PORT_STEP * outputs + 12),
  }
}

const within = (boxes, loop) => [...boxes.entries()].filter(([, box]) => box.loop === loop)

function placeFromDocument(boxes, loop = '') {
  for (const [id, box] of within(boxes, loop)) {
    if (!box.tray) continue
    placeFromDocument(boxes, id)
    wrap(box, within(boxes, id).map(([, inner]) => inner))
  }
}

function overlaps(boxes) {
  const all = [...boxes.values()]
  return all.some((one, index) => all.slice(index + 1).some((other) => one.loop === other.loop
    && one.x < other.x + other.width && other.x < one.x + one.width
    && one.y < other.y + other.height && other.y < one.y + one.height))
}

/** Put a tray around what lies in it. */
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

async function placeByDagre(world, boxes) {
  const dagre = await import('@dagrejs/dagre')
  const edges = [...world.querySelectorAll('.edge')].map(({ dataset }) => dataset)
  place('')

  function place(loop) {
    const here = within(boxes, loop)
    for (const [id, box] of here) if (box.tray) place(id)
    const graph = new dagre.graphlib.Graph()
    graph.setGraph({ rankdir: 'LR', nodesep: ROW_GAP, ranksep: COLUMN_GAP, ranker: here.length > 200 ? 'tight-tree' : 'network-simplex' })
    graph.setDefaultEdgeLabel(() => ({}))
    for (const [id, { width, height }] of here) graph.setNode(id, { width, height })
    const own = edges.filter(({ from, to }) => graph.hasNode(from) && graph.hasNode(to))
    for (const { from, to } of own) graph.setEdge(from, to)
    dagre.layout(graph)
    // dagre knows no ports. Of its drawing and the mirrored one, the one whose branches stand in the ports' order.
    const sign = inversions(own, graph, boxes) * 2 > pairs(own, boxes) ? -1 : 1
    for (const [id, box] of here) move(id, Math.round(graph.node(id).x - box.width / 2), Math.round(sign * graph.node(id).y - box.height / 2))
    if (loop) wrap(boxes.get(loop), here.map(([, box]) => box))
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
  for (const [index, first] of edges.entries()) {
    for (const second of edges.slice(index + 1)) {
      if (first.from !== second.from || first.to === second.to) continue
      const box = boxes.get(first.from)
      yield portHeight(box, first.port) <= portHeight(box, second.port) ? [first, second] : [second, first]
    }
  }
}

const pairs = (edges, boxes) => [...siblings(edges, boxes)].length
const inversions = (edges, graph, boxes) => [...siblings(edges, boxes)].filter(([upper, lower]) => graph.node(upper.to).y > graph.node(lower.to).y).length

function apply(box) {
  const { element, tray } = box
  element.style.transform = `translate(${box.x}px, ${box.y}px)`
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
  if (box.tray) return box.mid
  const names = [...box.element.querySelectorAll(':scope > .port-out')].map((port) => port.dataset.port)
  const at = Math.max(0, names.indexOf(name))
  return names.length < 2 ? box.height / 2 : (box.height / 2) + (at - (names.length - 1) / 2) * Math.max(PORT_STEP, 28 / (names.length - 1))
}
