// Connections as curves; in a tray the start ring, and the return track that says "again".
import { portHeight } from './layout.js'

const SVG = 'http://www.w3.org/2000/svg'
const RING = 14 // from a tray's left edge to the ring's centre
const TRACK = 24 // from a tray's right and lower edge to its track

/** Draw all edges, their labels, and the inside of every tray. */
export function drawEdges(world, boxes) {
  const svg = world.querySelector('.edges')
  for (const path of svg.querySelectorAll('.edge')) drawEdge(svg, path, boxes)
  for (const [id, box] of boxes) if (box.tray) drawTray(svg, id, box, boxes)
}

function drawEdge(svg, path, boxes) {
  const { from, to, port, label } = path.dataset
  const source = boxes.get(from)
  const target = boxes.get(to)
  const entry = target.loop === from
  const start = entry ? ringOf(source, RING + 7) : { x: source.x + source.width, y: source.y + portHeight(source, port) }
  const end = { x: target.x, y: target.y + (target.tray ? target.mid : target.height / 2) }
  path.setAttribute('d', curve(start, end))
  if (label) text(svg, label, start.x + 9, start.y - 7, source.loop ? 'elab is-inner' : 'elab')
}

function curve(a, b) {
  const reach = b.x > a.x ? Math.max(16, Math.min(120, (b.x - a.x) / 2)) : 80
  return `M${a.x} ${a.y}C${a.x + reach} ${a.y} ${b.x - reach} ${b.y} ${b.x} ${b.y}`
}

const ringOf = (box, dx) => ({ x: box.x + dx, y: box.y + box.mid })

function drawTray(svg, id, box, boxes) {
  const { x: left, y } = ringOf(box, RING)
  const right = box.x + box.width - TRACK + 8
  const bottom = box.y + box.height - TRACK
  const ends = endsOf(svg, id, boxes).flatMap((end) => portsOf(end).map((port) => ({ x: end.x + end.width, y: end.y + portHeight(end, port) })))
  if (!ends.length) return
  const highest = Math.min(...ends.map((end) => end.y))
  for (const end of ends) {
    const turn = end.y === highest ? `H${right - 10}Q${right} ${end.y} ${right} ${end.y + 10}` : `H${right}`
    element(svg, 'path', { class: 'track', d: `M${end.x} ${end.y}${turn}` })
  }
  element(svg, 'path', { class: 'track', d: `M${right} ${highest + 10}V${bottom - 10}Q${right} ${bottom} ${right - 10} ${bottom}H${left + 10}Q${left} ${bottom} ${left} ${bottom - 10}V${y + 13}` })
  element(svg, 'path', { class: 'track-head', d: `m${left - 4} ${y + 18} 4-5.5 4 5.5` })
  element(svg, 'circle', { class: 'ring', cx: left, cy: y, r: 6 })
  element(svg, 'circle', { class: 'ring-hole', cx: left, cy: y, r: 4.2 })
  text(svg, 'next round', (left + right) / 2, bottom + 4, 'elab is-inner', 'middle')
}

/** The body's last nodes: those that lead to no other node of the body. */
function endsOf(svg, loop, boxes) {
  const leaving = new Set([...svg.querySelectorAll('.edge')].filter(({ dataset }) => boxes.get(dataset.to).loop === loop && dataset.from !== loop).map(({ dataset }) => dataset.from))
  return [...boxes].filter(([id, box]) => box.loop === loop && !leaving.has(id)).map(([, box]) => box)
}

const portsOf = (box) => [...box.element.querySelectorAll(':scope > .port-out')].map((port) => port.dataset.port)

function text(svg, words, x, y, className, anchor = 'start') {
  element(svg, 'text', { class: className, x, y, 'text-anchor': anchor }).textContent = words
}

function element(svg, name, attributes) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  svg.append(made)
  return made
}
