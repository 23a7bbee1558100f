// What can be done to the draft. Each act is one step of undo, whatever it is made of.
import { placeAll, TRAY } from '../canvas/layout.js'
import { boundsOf } from '../canvas/view.js'
import { joining, loosened, wrapped } from './bodies.js'
import { snap } from './board.js'
import { fromOf, portOf, sourceOf } from './document.js'
import { downstream, refusal } from './rules.js'
import { announce, toast } from './toasts.js'
import { named, say } from '../words.js'

const COLUMN = 216
const GAP = 32 // between a card and the next
const NEAR = 60 // so far from the chosen cards a note is still theirs

export class Actions {
  constructor(store, board, view) {
    Object.assign(this, { store, board, view })
  }

  /** One change with a name; what the document has not placed yet is placed by it. */
  change(label, operations, options) {
    const moved = new Set(operations.filter(({ path }) => path === 'position').map(({ node }) => node))
    const settled = this.board.settle().filter(({ node }) => !moved.has(node))
    const gone = new Set(operations.filter(({ kind }) => kind === 'remove_node').map(({ node }) => node))
    const done = this.store.change(label, [...settled.filter(({ node }) => !gone.has(node)), ...operations], options)
    if (done) announce(label)
    return done
  }

  /** Put a node of that kind where it is wanted: behind a port, on an edge, at a point, or beside the selection. */
  add(entry, { from = '', port = '', edge = null, at = null, configs } = {}) {
    const { store, board } = this
    const id = this.freeId(entry.id)
    const link = edge ?? (from && !entry.trigger ? { from, port } : null)
    const { position, room } = this.#spot(entry, link, edge, at)
    const operations = [...room, { kind: 'add_node', value: { id, type: entry.type, position, ...(configs && { config: configs[entry.type] }) } }]
    if (link) operations.push({ kind: 'add_edge', value: { from: fromOf(link.from, link.port), to: id } })
    if (edge) {
      operations.push({ kind: 'remove_edge', value: original(store.doc, edge) })
      const out = entry.loop ? 'done' : entry.ports[0]
      if (out) operations.push({ kind: 'add_edge', value: { from: fromOf(id, out), to: edge.to } })
    }
    if (!this.change(say('added', entry.title), operations)) return ''
    board.select([id])
    board.dispatchEvent(new CustomEvent('added', { detail: { id } }))
    return id
  }

  /** Where the new node lies, and what has to move aside for it. */
  #spot(entry, link, edge, at) {
    const { board } = this
    if (at && !edge) return { position: { x: snap(at.x), y: snap(at.y) }, room: [] }
    const source = link && board.boxes.get(link.from)
    if (!source) {
      const { left, top, right, bottom } = this.view.window
      const beside = [...board.boxes.values()].at(-1)
      const wished = board.boxes.size && beside ? { x: (left + right) / 2 - 92, y: (top + bottom) / 2 - 34 } : { x: (left + right) / 2 - 92, y: (top + bottom) / 2 - 34 }
      return { position: board.freeSpot(wished), room: [] }
    }
    const inside = link.port === 'item' && source.tray
    const width = entry.loop ? 264 : 184
    const wished = inside ? { x: source.x + TRAY.left, y: source.y + TRAY.top } : { x: source.x + source.width + 32, y: source.y + (source.tray ? source.mid - 34 : 0) }
    if (!edge) return { position: board.freeSpot(wished, { width, height: entry.loop ? 158 : 68 }, inside ? link.from : source.loop), room: [] }
    const target = board.boxes.get(edge.to)
    const missing = wished.x + width + 32 - target.x
    const room = missing > 0 ? this.#shift(edge.to, missing, target.x) : []
    return { position: { x: snap(wished.x), y: snap(inside ? target.y : wished.y) }, room }
  }

  /** Move a node and all that it leads to, to the right. */
  #shift(node, by, from) {
    const moved = this.board.withBodies(downstream(this.store.doc, node)).filter((id) => this.board.boxes.get(id).x >= from)
    return moved.map((id) => {
      const { x, y } = this.board.boxes.get(id)
      return { kind: 'set', node: id, path: 'position', value: { x: snap(x + Math.max(by, COLUMN / 2)), y } }
    })
  }

  /** Put a loose node on an edge, where it lies; what the edge leads to moves aside if there is no room. */
  putBetween(id, edge) {
    const { board, store } = this
    const box = board.boxes.get(id)
    const source = board.boxes.get(edge.from)
    const target = board.boxes.get(edge.to)
    const inside = edge.port === 'item' && source.tray
    const x = inside ? box.x : Math.max(box.x, source.x + source.width + GAP)
    const missing = x + box.width + GAP - target.x
    const room = missing > 0 ? this.#shift(edge.to, missing, target.x).filter(({ node }) => node !== id) : []
    const out = box.tray ? 'done' : box.ports[0]
    const operations = [
      ...room,
      { kind: 'set', node: id, path: 'position', value: { x: snap(x), y: box.y } },
      { kind: 'remove_edge', value: original(store.doc, edge) },
      { kind: 'add_edge', value: { from: fromOf(edge.from, edge.port), to: id } },
    ]
    if (out) operations.push({ kind: 'add_edge', value: { from: fromOf(id, out), to: edge.to } })
    return this.change(say('between', board.titleOf(id)), operations)
  }

  /** Put a node at the end of a loop's body; `place` is where, if it was not dragged there. */
  putInto(id, tray, place = null) {
    return this.#rehome(id, tray, say('putInto', this.board.titleOf(id), this.board.titleOf(tray)), joining(this.board, id, tray), place)
  }

  /** Take a node out of the loop that it is in, to lie loose beside it. */
  takeOut(id, tray, place = null) {
    return this.#rehome(id, '', say('tookOut', this.board.titleOf(id), this.board.titleOf(tray)), loosened(this.board, id), place)
  }

  /** Put a new loop of that kind around the chosen nodes. */
  wrap(entry) {
    const { board, store } = this
    const { why, into, out, entry: first, exit, bounds } = wrapped(board, [...board.selected])
    if (why) return toast(why)
    const id = this.freeId(entry.id)
    const position = { x: snap(bounds.left - TRAY.left), y: snap(bounds.top - TRAY.top) }
    const ends = new Set(into.map(({ from }) => from))
    const done = this.change(say('wrapped', named([...board.selected], board.titleOf)), [
      { kind: 'add_node', value: { id, type: entry.type, position } },
      ...[...into, ...out].map((value) => ({ kind: 'remove_edge', value })),
      ...[...ends].map((from) => ({ kind: 'add_edge', value: { from, to: id } })),
      { kind: 'add_edge', value: { from: fromOf(id, 'item'), to: first } },
      ...(exit ? [{ kind: 'add_edge', value: { from: fromOf(id, 'done'), to: exit } }] : []),
    ])
    if (!done) return undefined
    board.select([id])
    return board.dispatchEvent(new CustomEvent('added', { detail: { id } }))
  }

  #rehome(id, loop, label, operations, place) {
    const { board } = this
    const ids = board.withBodies([id])
    const { x, y, loop: before } = board.boxes.get(id)
    const by = { x: place ? place.x - x : 0, y: place ? place.y - y : 0 }
    const places = ids.map((node) => {
      const box = board.boxes.get(node)
      return { kind: 'set', node, path: 'position', value: { x: box.x + by.x, y: box.y + by.y } }
    })
    board.rehome(id, loop)
    const done = this.change(label, [...operations, ...places])
    if (!done) board.rehome(id, before)
    return done
  }

  /** An id that no node has: the wished one, or with a number behind it. */
  freeId(wished, taken = new Set()) {
    const used = (id) => taken.has(id) || this.store.node(id)
    let id = wished
    for (let number = 2; used(id); number += 1) id = `${wished.replace(/_\d+$/, '')}_${number}`
    return id
  }

  connect(from, port, to) {
    const why = refusal(this.board, from, port, to)
    if (why) {
      toast(why)
      return false
    }
    const { titleOf } = this.board
    return this.change(say('connected', titleOf(from), titleOf(to)), [{ kind: 'add_edge', value: { from: fromOf(from, port), to } }])
  }

  disconnect(edge) {
    return this.change(say('disconnected'), [{ kind: 'remove_edge', value: original(this.store.doc, edge) }])
  }

  /** Take an edge's end to another node, or nowhere. */
  replug(edge, to) {
    const why = to && refusal(this.board, edge.from, edge.port, to)
    if (why) return toast(why)
    const taken = { kind: 'remove_edge', value: original(this.store.doc, edge) }
    if (!to) return this.change(say('disconnected'), [taken])
    return this.change(say('connected', this.board.titleOf(edge.from), this.board.titleOf(to)), [taken, { kind: 'add_edge', value: { from: fromOf(edge.from, edge.port), to } }])
  }

  /** Write down where nodes lie now. */
  move(ids, { label = say('moved', named(ids, this.board.titleOf)), merge = '' } = {}) {
    const operations = ids.flatMap((id) => {
      const { x, y } = this.board.boxes.get(id)
      const before = this.store.node(id).position
      return before?.x === x && before?.y === y ? [] : [{ kind: 'set', node: id, path: 'position', value: { x, y } }]
    })
    return operations.length ? this.change(label, operations, { merge }) : false
  }

  nudge(dx, dy) {
    const ids = this.board.withBodies([...this.board.selected])
    this.board.show(ids.map((id) => [id, { x: this.board.boxes.get(id).x + dx, y: this.board.boxes.get(id).y + dy }]))
    this.move(ids, { merge: `nudge ${ids.join(' ')}` })
    const first = this.board.boxes.get(ids[0])
    if (first) announce(say('position', this.board.titleOf(ids[0]), first.x, first.y))
  }

  /** Remove nodes; where one stood alone between two others, these are connected. */
  remove(ids = this.board.withBodies([...this.board.selected])) {
    if (!ids.length) return
    const { doc } = this.store
    const title = named(ids, this.board.titleOf)
    const operations = ids.map((node) => ({ kind: 'remove_node', node }))
    const heal = ids.length === 1 ? healing(doc, ids[0]) : null
    if (heal) operations.push({ kind: 'add_edge', value: heal })
    const words = say('deleted', title)
    if (this.change(words, operations)) toast(`${words}.`, { label: say('undoIt'), run: () => this.store.undo() })
    this.board.select([])
  }

  /** Copies of nodes with the edges among them; the ids are new, and the copies' expressions follow. */
  copies({ nodes, edges, notes = {}, groups = {} }, offset) {
    const ids = new Map()
    for (const { id } of nodes) ids.set(id, this.freeId(id, new Set(ids.values())))
    const follow = (config) => config && JSON.parse(JSON.stringify(config).replace(/\b(nodes|loops)\.([a-z][a-z0-9_]*)/g, (all, root, id) => (ids.has(id) ? `${root}.${ids.get(id)}` : all)))
    const operations = nodes.map((node) => ({
      kind: 'add_node',
      value: { ...node, id: ids.get(node.id), ...(node.config && { config: freshPath(node, follow(node.config)) }), position: { x: snap((node.position?.x ?? 0) + offset.x), y: snap((node.position?.y ?? 0) + offset.y) } },
    }))
    for (const edge of edges) {
      if (ids.has(sourceOf(edge)) && ids.has(edge.to)) operations.push({ kind: 'add_edge', value: { from: fromOf(ids.get(sourceOf(edge)), portOf(edge)), to: ids.get(edge.to) } })
    }
    for (const note of Object.values(notes)) {
      const id = `n${Date.now().toString(36)}${operations.length}`
      operations.push({ kind: 'set', path: `notes.${id}`, value: { ...note, x: snap((note.x ?? 0) + offset.x), y: snap((note.y ?? 0) + offset.y) } })
    }
    for (const group of Object.values(groups)) {
      const inside = (group.nodes ?? []).map((id) => ids.get(id)).filter(Boolean)
      if (inside.length) operations.push({ kind: 'set', path: `groups.g${Date.now().toString(36)}${operations.length}`, value: { ...group, nodes: inside } })
    }
    return { operations, ids: [...ids.values()] }
  }

  /** The selection with the edges inside it, its groups, and the notes beside it; with the places that are seen. */
  clip() {
    const { doc } = this.store
    const ids = new Set(this.board.withBodies([...this.board.selected]))
    const nodes = doc.nodes.filter(({ id }) => ids.has(id)).map((node) => ({ ...node, position: { x: this.board.boxes.get(node.id).x, y: this.board.boxes.get(node.id).y } }))
    const groups = Object.entries(doc.own.groups ?? {}).filter(([, group]) => group.nodes?.length && group.nodes.every((id) => ids.has(id)))
    return {
      nodes,
      edges: doc.edges.filter((edge) => ids.has(sourceOf(edge)) && ids.has(edge.to)),
      notes: Object.fromEntries(this.#notesBeside(ids)),
      groups: Object.fromEntries(groups),
    }
  }

  /** The notes that lie among some nodes; all of them where all nodes are meant. */
  #notesBeside(ids) {
    const notes = Object.entries(this.store.doc.own.notes ?? {})
    if (ids.size === this.store.doc.nodes.length) return notes
    const bounds = boundsOf([...ids].map((id) => this.board.boxes.get(id)))
    if (!bounds) return []
    return notes.filter(([, { x = 0, y = 0, width = 240, height = 96 }]) => x >= bounds.left - NEAR && x + width <= bounds.right + NEAR && y >= bounds.top - NEAR && y + height <= bounds.bottom + NEAR)
  }

  duplicate(offset = { x: 24, y: 106 }) {
    const clip = this.clip()
    if (!clip.nodes.length) return
    const { operations, ids } = this.copies(clip, offset)
    if (this.change(say('duplicated', named(clip.nodes.map(({ id }) => id), this.board.titleOf)), operations)) this.board.select(ids)
  }

  /** Put copied nodes around a point. */
  paste(clip, at) {
    const xs = clip.nodes.map(({ position }) => position?.x ?? 0)
    const ys = clip.nodes.map(({ position }) => position?.y ?? 0)
    const offset = { x: at.x - Math.min(...xs), y: at.y - Math.min(...ys) }
    const { operations, ids } = this.copies(clip, offset)
    if (this.change(say('pasted', say('nodes', ids.length)), operations)) this.board.select(ids)
  }

  toggle() {
    const ids = [...this.board.selected]
    const off = ids.some((id) => !this.store.node(id).disabled)
    const operations = ids.map((node) => (off ? { kind: 'set', node, path: 'disabled', value: true } : { kind: 'unset', node, path: 'disabled' }))
    if (ids.length) this.change(say(off ? 'off' : 'on', named(ids, this.board.titleOf)), operations)
  }

  /** Give a node another name; an id made from the old one follows, and the expressions with it. */
  rename(id, name) {
    const node = this.store.node(id)
    if (!node || !name.trim() || name.trim() === node.name) return id
    const wished = slug(name)
    const fits = !wished || id.replace(/_\d+$/, '') === wished
    const target = fits ? id : this.freeId(wished)
    const operations = [{ kind: 'set', node: id, path: 'name', value: name.trim() }]
    if (target !== id) operations.push({ kind: 'rename_node', node: id, value: target })
    this.change(say('renamed', name.trim()), operations)
    if (target !== id) this.board.select([target])
    return target
  }

  async tidy() {
    const { board, store } = this
    const chosen = board.selected.size > 1 ? board.selected : null
    const boxes = new Map([...board.boxes].filter(([id]) => !chosen || chosen.has(id) || board.withBodies([...chosen]).includes(id)).map(([id, box]) => [id, { ...box, loop: chosen && !board.withBodies([...chosen]).includes(box.loop) ? '' : box.loop }]))
    const origin = corner([...boxes.values()])
    await placeAll(boxes, board.links())
    const moved = corner([...boxes.values()])
    const operations = [...boxes].map(([node, box]) => ({ kind: 'set', node, path: 'position', value: { x: snap(box.x - moved.x + origin.x), y: snap(box.y - moved.y + origin.y) } }))
      .filter(({ node, value }) => store.node(node).position?.x !== value.x || store.node(node).position?.y !== value.y)
    if (operations.length && this.change(say('tidied'), operations) && !chosen) this.view.fit()
  }

  /** `how` is left, top or spread. */
  align(how) {
    const { board } = this
    const ids = [...board.selected].filter((id) => !board.selected.has(board.boxes.get(id).loop))
    if (ids.length < 2) return
    const boxes = ids.map((id) => board.boxes.get(id))
    const places = how === 'spread' ? spread(ids, boxes) : ids.map((id, index) => [id, how === 'left' ? { x: Math.min(...boxes.map(({ x }) => x)), y: boxes[index].y } : { x: boxes[index].x, y: Math.min(...boxes.map(({ y }) => y)) }])
    const all = places.flatMap(([id, { x, y }]) => board.withBodies([id]).map((inner) => {
      const box = board.boxes.get(inner)
      return [inner, { x: box.x + x - board.boxes.get(id).x, y: box.y + y - board.boxes.get(id).y }]
    }))
    board.show(all)
    this.move(all.map(([id]) => id), { label: say('aligned', named(ids, board.titleOf)) })
  }

  pin(id, value) {
    return this.change(say('pinned', this.board.titleOf(id)), [{ kind: 'set', node: id, path: 'pinned', value }])
  }

  unpin(id) {
    return this.change(say('unpinned', this.board.titleOf(id)), [{ kind: 'unset', node: id, path: 'pinned' }])
  }
}

/** The edge as the document writes it. */
function original(doc, { from, port, to }) {
  return doc.edges.find((edge) => sourceOf(edge) === from && portOf(edge) === port && edge.to === to) ?? { from: fromOf(from, port), to }
}

function healing(doc, id) {
  const into = doc.edges.filter(({ to }) => to === id)
  const out = doc.edges.filter((edge) => sourceOf(edge) === id)
  if (into.length !== 1 || out.length !== 1) return null
  const edge = { from: into[0].from, to: out[0].to }
  return doc.edges.some(({ from, to }) => from === edge.from && to === edge.to) ? null : edge
}

/** A copy of a webhook gets an address of its own. */
function freshPath(node, config) {
  if (node.type !== 'trigger.webhook') return config
  const { path, ...rest } = config
  return rest
}

function corner(boxes) {
  return { x: Math.min(...boxes.map(({ x }) => x)), y: Math.min(...boxes.map(({ y }) => y)) }
}

/** Even gaps along the longer side. */
function spread(ids, boxes) {
  const wide = Math.max(...boxes.map(({ x }) => x)) - Math.min(...boxes.map(({ x }) => x)) >= Math.max(...boxes.map(({ y }) => y)) - Math.min(...boxes.map(({ y }) => y))
  const [axis, size] = wide ? ['x', 'width'] : ['y', 'height']
  const order = ids.map((id, index) => ({ id, box: boxes[index] })).sort((one, other) => one.box[axis] - other.box[axis])
  const length = order.reduce((sum, { box }) => sum + box[size], 0)
  const last = order.at(-1).box
  const gap = (last[axis] + last[size] - order[0].box[axis] - length) / (order.length - 1)
  let place = order[0].box[axis]
  return order.map(({ id, box }) => {
    const at = { x: box.x, y: box.y, [axis]: snap(place) }
    place += box[size] + gap
    return [id, at]
  })
}

/** `Fetch the orders!` as an id: `fetch_the_orders`. */
export function slug(name) {
  const plain = name.normalize('NFKD').replace(/ß/g, 'ss').replace(/[^\w\s-]/g, '').toLowerCase()
  const id = plain.replace(/[\s-]+/g, '_').replace(/^[^a-z]+/, '').replace(/[^a-z0-9_]/g, '').slice(0, 40).replace(/_+$/, '')
  return id
}
