// The canvas of the editor: one element for each node, placed by the document; the selection.
import { applyBox, boxOf, insideOf, placeAll, wrapTrays } from '../canvas/layout.js'
import { Edges } from '../canvas/edges.js'
import { MANY } from '../canvas/sight.js'
import { portOf, sourceOf } from './document.js'

export class Board extends EventTarget {
  boxes = new Map()
  selected = new Set()
  #elements = new Map()
  #free = new Map() // where nodes lie that the document has not placed
  #marked = new Set()
  #waiting = new Set() // nodes of a large workflow whose cards have not been in sight: they are not in the document yet
  #stop
  #lit
  #target

  constructor(canvas, world, store, cards) {
    super()
    Object.assign(this, { canvas, world, store })
    this.edges = new Edges(world.querySelector('#edges'), true)
    this.layers = { trays: world.querySelector('#trays'), cards: world.querySelector('#cards') }
    for (const element of parsed(Object.values(cards).join(''))) this.#elements.set(element.dataset.node, element)
    if (this.#elements.size > MANY) this.#waiting = new Set(this.#elements.keys())
  }

  /** The one chosen node, or ''. */
  get current() { return this.selected.size === 1 ? [...this.selected][0] : '' }

  /** What the document calls a node, as its card says it. */
  titleOf = (id) => this.#elements.get(id)?.querySelector('.node-title, .loop-title')?.textContent || id

  element(id) { return this.#elements.get(id) }

  /** All cards and trays, also those that are not in the document yet. */
  get elements() { return [...this.#elements.values()] }

  /** Put a card into the document, where it is not there yet. */
  attach(id) {
    this.#waiting.delete(id)
    const element = this.#elements.get(id)
    const layer = 'tray' in element.dataset ? this.layers.trays : this.layers.cards
    if (element.parentNode !== layer) layer.append(element)
  }

  /** Bring the drawing in line with the document; `cards` is fresh HTML by node. */
  sync(cards = {}) {
    for (const [id, html] of Object.entries(cards)) this.#replace(id, html)
    const nodes = this.store.doc.nodes
    const wanted = new Set(nodes.map(({ id }) => id))
    for (const [id, element] of this.#elements) {
      if (wanted.has(id)) continue
      element.remove()
      this.#elements.delete(id)
      this.#waiting.delete(id)
      this.selected.delete(id)
    }
    for (const node of nodes) {
      if (!this.#elements.has(node.id)) this.#elements.set(node.id, provisional(node))
      if (!this.#waiting.has(node.id)) this.attach(node.id)
    }
    this.place()
    this.mark()
  }

  /** Boxes, elements and edges from the document's positions. */
  place() {
    const drawn = new Map([...this.boxes].map(([id, box]) => [id, box]))
    this.boxes.clear()
    for (const node of this.store.doc.nodes) {
      const element = this.#elements.get(node.id)
      const position = node.position ?? this.#free.get(node.id) ?? this.#beside(node)
      const old = drawn.get(node.id)
      if (old?.element === element) this.boxes.set(node.id, Object.assign(old, { x: position.x, y: position.y }))
      else this.boxes.set(node.id, boxOf(element, position))
      if (this.#waiting.has(node.id)) this.boxes.get(node.id).away = true
    }
    wrapTrays(this.boxes)
    for (const box of this.boxes.values()) applyBox(box)
    const links = this.links()
    this.edges.sync(links, this.boxes)
    this.#namePorts(links)
    this.sight?.soon()
    this.dispatchEvent(new Event('placed'))
  }

  /** Of several ports, those that lead nowhere say their names; the others' stand on their lines. */
  #namePorts(links) {
    const used = new Set(links.map(({ from, port }) => `${from}.${port}`))
    for (const [id, { element, ports }] of this.boxes) {
      if (ports.length < 2) continue
      for (const port of element.querySelectorAll(':scope > .port-out')) port.classList.toggle('is-used', used.has(`${id}.${port.dataset.port}`))
    }
  }

  /** The document's edges as {from, port, to}. */
  links() {
    return this.store.doc.edges.map((edge) => ({ from: sourceOf(edge), port: portOf(edge), to: edge.to })).filter(({ from, to }) => this.boxes.has(from) && this.boxes.has(to))
  }

  /** Lay out what the document leaves open; all of it where it places no node. */
  async layOutTheRest() {
    const { nodes } = this.store.doc
    if (nodes.every(({ position }) => position)) return
    if (nodes.some(({ position }) => position)) return this.place()
    await placeAll(this.boxes, this.links())
    this.#free = new Map([...this.boxes].map(([id, { x, y }]) => [id, { x, y }]))
    this.place()
  }

  /** Operations that write down where nodes lie which the document has not placed. */
  settle() {
    return this.store.doc.nodes.filter(({ position }) => !position).map(({ id }) => {
      const { x, y } = this.boxes.get(id)
      return { kind: 'set', node: id, path: 'position', value: { x, y } }
    })
  }

  #beside(node) {
    const edge = this.store.doc.edges.find(({ to }) => to === node.id)
    const source = edge && this.boxes.get(sourceOf(edge))
    return this.freeSpot(source ? { x: source.x + source.width + 32, y: source.y } : { x: 0, y: 0 })
  }

  /** The nearest place below a wished one where no card lies. */
  freeSpot({ x, y }, size = { width: 184, height: 68 }, loop = '') {
    const taken = (at) => [...this.boxes.values()].some((box) => box.loop === loop && at < box.y + box.height + 30 && box.y < at + size.height + 30 && x < box.x + box.width + 20 && box.x < x + size.width + 20)
    let at = y
    while (taken(at)) at += 106
    return { x: snap(x), y: snap(at) }
  }

  /** The nodes that move along when these are moved. */
  withBodies(ids) {
    return [...new Set(ids.flatMap((id) => (this.boxes.get(id)?.tray ? [id, ...insideOf(this.boxes, id)] : [id])))]
  }

  /** Show nodes at other places, for a drag; `places` is [id, {x, y}]. What is out of sight is drawn when it comes in. */
  show(places) {
    const moved = []
    for (const [id, { x, y }] of places) {
      const box = this.boxes.get(id)
      if (!box) continue
      box.x = x
      box.y = y
      moved.push(id)
    }
    const loops = this.#around(moved)
    if (loops.size) wrapTrays(this.boxes)
    this.sight?.soon()
    if (this.sight?.isFar) return
    const all = [...new Set([...moved, ...loops])]
    for (const id of all) {
      const box = this.boxes.get(id)
      if (!box.away) applyBox(box)
    }
    this.edges.move(all, this.boxes)
  }

  /** Let a node lie in another loop's tray (none: ''), before the server says so. */
  rehome(id, loop) {
    const box = this.boxes.get(id)
    if (!box || box.loop === loop) return
    const trays = this.#around([id])
    box.loop = loop
    for (const each of this.#around([id])) trays.add(each)
    wrapTrays(this.boxes)
    for (const each of trays) if (!this.boxes.get(each).away) applyBox(this.boxes.get(each))
    this.edges.move([...trays], this.boxes)
  }

  /** The trays that nodes lie in, and the trays around those. */
  #around(ids) {
    const found = new Set()
    for (const id of ids) {
      for (let { loop } = this.boxes.get(id); loop && !found.has(loop); { loop } = this.boxes.get(loop) ?? { loop: '' }) found.add(loop)
    }
    return found
  }

  select(ids, { toggle = false, quiet = false } = {}) {
    const wanted = toggle ? [...this.selected].filter((id) => !ids.includes(id)).concat(ids.filter((id) => !this.selected.has(id))) : ids
    this.selected = new Set(wanted.filter((id) => this.boxes.has(id)))
    this.mark()
    if (!quiet) this.dispatchEvent(new Event('select'))
  }

  /** Put the selection's marks on the cards; one of them is the canvas's tab stop. */
  mark() {
    const changed = [...this.selected].filter((id) => !this.#marked.has(id)).concat([...this.#marked].filter((id) => !this.selected.has(id)))
    for (const id of changed) this.#markOne(id)
    this.#marked = new Set(this.selected)
    const stop = this.current || this.store.doc.nodes[0]?.id
    if (stop !== this.#stop) {
      this.#opener(this.#stop)?.setAttribute('tabindex', -1)
      this.#stop = stop
    }
    this.#opener(stop)?.setAttribute('tabindex', 0)
    if (changed.length) this.sight?.soon()
  }

  #markOne(id) {
    const on = this.selected.has(id)
    this.#elements.get(id)?.classList.toggle('is-selected', on)
    document.querySelector(`#outline .orow[data-node="${id}"]`)?.classList.toggle('is-selected', on)
  }

  /** The outline is new: mark the chosen rows in it. */
  markRows() {
    for (const id of this.selected) this.#markOne(id)
  }

  #opener(id) { return this.#elements.get(id)?.querySelector('[data-open]') }

  /** Mark the node or the edge that would take what is dragged (none, without one); what was marked before. */
  markTarget(element) {
    const before = this.#target
    before?.classList.remove('is-target')
    this.#target = element
    element?.classList.add('is-target')
    return before
  }

  /** Mark the node that the pointer's expression speaks of. */
  light(id) {
    this.#lit?.classList.remove('is-lit')
    this.#lit = this.#elements.get(id)
    this.#lit?.classList.add('is-lit')
  }

  focus(id) {
    const box = this.boxes.get(id)
    if (box && (this.sight?.isFar || box.away)) {
      this.sight.view.approach(box)
      this.sight.now()
    }
    this.#elements.get(id)?.querySelector('[data-open]')?.focus({ preventScroll: true })
  }

  #replace(id, html) {
    const [made] = parsed(html)
    const old = this.#elements.get(id)
    this.#elements.set(id, made)
    if (!old) return
    const hadFocus = old.contains(document.activeElement)
    made.classList.add(...[...old.classList].filter((name) => KEPT.has(name)))
    const caption = old.querySelector('[data-cap]')
    if (caption) made.querySelector('[data-cap]')?.replaceWith(caption)
    for (const mark of old.querySelectorAll(':scope > .who, :scope > .letter')) made.append(mark)
    old.replaceWith(made)
    this.boxes.delete(id)
    this.#marked.delete(id)
    if (hadFocus) made.querySelector('[data-open]').focus({ preventScroll: true })
  }
}

const KEPT = new Set(['is-ok', 'is-run', 'is-fail', 'is-wait', 'is-skip', 'is-away'])
export const snap = (value) => Math.round(value / 4) * 4

function parsed(html) {
  const template = document.createElement('template')
  template.innerHTML = html
  return [...template.content.children]
}

/** A card for a node that the server has not drawn yet. */
function provisional(node) {
  const made = document.getElementById('t-card').content.firstElementChild.cloneNode(true)
  made.dataset.node = node.id
  made.dataset.loop = ''
  made.querySelector('.node-title').textContent = node.name || node.id
  made.querySelector('.node-card').dataset.open = node.id
  return made
}
