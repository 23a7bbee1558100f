// Connections as curves; in a tray the start ring, and the return track that says "again".
import { called } from '../words.js'
import { portHeight } from './layout.js'

const SVG = 'http://www.w3.org/2000/svg'
const RING = 14 // from a tray's left edge to the ring's centre
const TRACK = 24 // from a tray's right and lower edge to its track
const REST = 100 // ms without a move after which the pointer can hit a moved edge where it is now

/** Draws edges {from, port, to} between boxes, and keeps them up to date. */
export class Edges {
  #drawn = new Map() // key → {edge, path, hit, label}
  #byNode = new Map() // node → keys
  #tracks = new Map() // loop → its group
  #unsettled = new Set() // drawn edges whose broad twins lie where the edges were
  #resting

  /** With `editable`, each edge has a broad invisible twin that the pointer can hit. */
  constructor(svg, editable = false) {
    Object.assign(this, { svg, editable })
    this.trackLayer = svg.querySelector('#tracks') ?? element(svg, 'g')
    this.lineLayer = svg.querySelector('#lines') ?? element(svg, 'g')
  }

  /** Draw exactly these edges. */
  sync(edges, boxes) {
    const wanted = new Map(edges.map((edge) => [keyOf(edge), edge]))
    for (const [key, drawn] of this.#drawn) if (!wanted.has(key)) this.#remove(key, drawn)
    for (const [key, edge] of wanted) if (!this.#drawn.has(key)) this.#add(key, edge)
    for (const drawn of this.#drawn.values()) this.#place(drawn, boxes)
    this.#settle()
    this.#syncTracks(boxes)
  }

  /** Some nodes are on the move: the broad twins of their edges follow when they have come to rest. */
  move(ids, boxes) {
    const keys = new Set(ids.flatMap((id) => [...(this.#byNode.get(id) ?? [])]))
    for (const key of keys) {
      const drawn = this.#drawn.get(key)
      if (!drawn.away) this.#place(drawn, boxes)
    }
    const loops = new Set(ids.flatMap((id) => [boxes.get(id)?.loop, boxes.get(id)?.tray ? id : '']).filter(Boolean))
    for (const loop of loops) this.#track(loop, boxes)
    clearTimeout(this.#resting)
    this.#resting = setTimeout(() => this.#settle(), REST)
  }

  #settle() {
    for (const { hit, d } of this.#unsettled) hit.setAttribute('d', d)
    this.#unsettled.clear()
  }

  get all() { return [...this.#drawn.values()].map(({ edge }) => edge) }

  /** The middle of an edge, in the world's units. */
  middle(edge) {
    const { path } = this.#drawn.get(keyOf(edge))
    return path.getPointAtLength(path.getTotalLength() / 2)
  }

  /** Show or hide edges by whether one of their ends is in sight. */
  cull(seen, boxes) {
    for (const drawn of this.#drawn.values()) {
      const { edge, path, hit } = drawn
      const hidden = !seen.has(edge.from) && !seen.has(edge.to)
      if (drawn.away === hidden) continue
      drawn.away = hidden
      if (!hidden) this.#place(drawn, boxes)
      for (const each of [path, hit, drawn.label]) each?.classList.toggle('is-away', hidden)
    }
    this.#settle()
  }

  #add(key, edge) {
    const data = { 'data-from': edge.from, 'data-port': edge.port, 'data-to': edge.to }
    const hit = this.editable ? element(this.lineLayer, 'path', { class: 'edge-hit', ...data }) : null
    const path = element(this.lineLayer, 'path', { class: edge.mark ? `edge is-${edge.mark}` : 'edge', ...data })
    this.#drawn.set(key, { edge, path, hit, label: null })
    for (const end of [edge.from, edge.to]) this.#byNode.set(end, (this.#byNode.get(end) ?? new Set()).add(key))
  }

  #remove(key, { edge, path, hit, label }) {
    for (const each of [path, hit, label]) each?.remove()
    this.#drawn.delete(key)
    for (const end of [edge.from, edge.to]) this.#byNode.get(end)?.delete(key)
  }

  #place(drawn, boxes) {
    const { edge, path, hit } = drawn
    const source = boxes.get(edge.from)
    const target = boxes.get(edge.to)
    if (!source || !target) return
    const start = startOf(source, target, edge)
    const end = endOf(target)
    const d = curve(start, end)
    if (drawn.d === d && drawn.ports === source.ports.length) return
    Object.assign(drawn, { d, ports: source.ports.length })
    path.setAttribute('d', d)
    if (hit) this.#unsettled.add(drawn)
    const words = source.ports.length > 1 && !(target.loop === edge.from && edge.port === 'item') ? edge.port : ''
    if (!words) {
      drawn.label?.remove()
      drawn.label = null
      return
    }
    drawn.label ??= element(this.lineLayer, 'text', {})
    drawn.label.textContent = called('way', words)
    drawn.label.setAttribute('class', source.loop ? 'elab is-inner' : 'elab')
    drawn.label.classList.toggle('is-away', Boolean(drawn.away))
    drawn.label.setAttribute('x', start.x + 9)
    drawn.label.setAttribute('y', start.y - 7)
  }

  #syncTracks(boxes) {
    for (const [loop, group] of this.#tracks) {
      if (boxes.get(loop)?.tray) continue
      group.remove()
      this.#tracks.delete(loop)
    }
    for (const [id, box] of boxes) if (box.tray) this.#track(id, boxes)
  }

  #track(id, boxes) {
    const box = boxes.get(id)
    if (!box) return
    const group = this.#tracks.get(id) ?? element(this.trackLayer, 'g')
    this.#tracks.set(id, group)
    group.replaceChildren()
    drawTray(group, box, this.#endsOf(id, boxes))
  }

  /** The body's last nodes: those that lead to no other node of the body. */
  #endsOf(loop, boxes) {
    const body = [...boxes].filter(([, box]) => box.loop === loop)
    return body.filter(([id]) => ![...(this.#byNode.get(id) ?? [])].some((key) => {
      const { edge } = this.#drawn.get(key)
      return edge.from === id && boxes.get(edge.to)?.loop === loop
    })).map(([, box]) => box)
  }
}

export const keyOf = ({ from, port, to }) => `${from}.${port}>${to}`

/** Where an edge begins: at its port, or at the ring of the tray that it enters. */
export function startOf(source, target, { from, port }) {
  if (port === 'item' && source.tray && target?.loop === from) return { x: source.x + RING + 7, y: source.y + source.mid }
  if (port === 'item' && source.tray) return { x: source.x + RING, y: source.y + source.mid }
  return { x: source.x + source.width, y: source.y + portHeight(source, port) }
}

export const endOf = (target) => ({ x: target.x, y: target.y + (target.tray ? target.mid : target.height / 2) })

/** The path of a connection from one point to another. */
export function curve(a, b) {
  const reach = b.x > a.x ? Math.max(16, Math.min(120, (b.x - a.x) / 2)) : 80
  return `M${a.x} ${a.y}C${a.x + reach} ${a.y} ${b.x - reach} ${b.y} ${b.x} ${b.y}`
}

function drawTray(group, box, ends) {
  const left = box.x + RING
  const y = box.y + box.mid
  const right = box.x + box.width - TRACK + 8
  const bottom = box.y + box.height - TRACK
  const exits = ends.flatMap((end) => end.ports.map((port) => ({ x: end.x + end.width, y: end.y + portHeight(end, port) })))
  if (exits.length) {
    const highest = Math.min(...exits.map((exit) => exit.y))
    for (const exit of exits) {
      const turn = exit.y === highest ? `H${right - 10}Q${right} ${exit.y} ${right} ${exit.y + 10}` : `H${right}`
      element(group, 'path', { class: 'track', d: `M${exit.x} ${exit.y}${turn}` })
    }
    element(group, 'path', { class: 'track', d: `M${right} ${highest + 10}V${bottom - 10}Q${right} ${bottom} ${right - 10} ${bottom}H${left + 10}Q${left} ${bottom} ${left} ${bottom - 10}V${y + 13}` })
    element(group, 'path', { class: 'track-head', d: `m${left - 4} ${y + 18} 4-5.5 4 5.5` })
    element(group, 'text', { class: 'elab is-inner', x: (left + right) / 2, y: bottom + 4, 'text-anchor': 'middle' }).textContent = box.element.dataset.track ?? 'next round'
  }
  element(group, 'circle', { class: 'ring', cx: left, cy: y, r: 6 })
  element(group, 'circle', { class: 'ring-hole', cx: left, cy: y, r: 4.2 })
}

function element(parent, name, attributes = {}) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  parent.append(made)
  return made
}
