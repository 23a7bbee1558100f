// The pointer on the canvas: choose, drag, draw a rectangle, connect. Each gesture ends in one change, and Esc
// takes it back while it lasts.
import { STILL, FLOATS, swallowNextClick } from '../canvas/view.js'
import { curve, endOf, startOf } from '../canvas/edges.js'
import { snap } from './board.js'
import { sourceOf } from './document.js'
import { refusal } from './rules.js'
import { say } from '../words.js'

const LET_GO = 24 // so far beyond a tray's border a card has left it
const NEAR = 6 // pixels within which a dragged card falls into line with another
const EDGE_OF_VIEW = 28
const EDGE_SPEED = 9

export class Gestures {
  constructor(board, view, actions, palette) {
    Object.assign(this, { board, view, actions, palette })
    const { canvas } = board
    canvas.addEventListener('pointerdown', (event) => this.#press(event))
    canvas.addEventListener('click', (event) => this.#click(event))
    canvas.addEventListener('dblclick', (event) => this.#double(event))
    canvas.addEventListener('dragstart', (event) => event.preventDefault())
    canvas.addEventListener('pointermove', (event) => { this.pointer = event })
    this.#listenToEdges()
  }

  /** Whether a press moves the view: on empty canvas, or with the middle button. */
  pans(event) {
    if (event.button === 1) return true
    if (this.#far(event)) return false
    return !event.shiftKey && !event.target.closest('[data-node], .edge-hit, .sticky, .group-name')
  }

  #press(event) {
    if (event.button !== 0 || event.target.closest(FLOATS)) return
    const port = event.target.closest('.port')
    const node = event.target.closest('[data-node]:not(.edge)')?.dataset.node ?? this.#far(event)
    if (port && node) return this.#connect(event, node, port)
    if (event.target.closest('[data-tray-add]')) return
    if (node && !(event.shiftKey && this.board.sight.isFar)) return this.#drag(event, node)
    if (event.shiftKey && !event.target.closest('.sticky')) return this.#marquee(event)
  }

  /** From afar cards are no elements: what lies under the pointer there. */
  #far(event) { return this.board.sight.isFar && !event.target.closest(FLOATS) ? this.board.sight.hit(event) : undefined }

  #click(event) {
    const afar = this.#far(event)
    if (afar) return this.board.select([afar], { toggle: event.shiftKey || event.ctrlKey || event.metaKey })
    const opener = event.target.closest('[data-open]')
    if (opener) {
      event.preventDefault()
      const toggle = event.shiftKey || event.ctrlKey || event.metaKey
      this.board.select([opener.dataset.open], { toggle })
      return
    }
    const inside = event.target.closest('[data-tray-add]')
    if (inside) return this.palette.open({ from: inside.closest('[data-node]').dataset.node, port: 'item', near: inside })
    if (!event.target.closest(`[data-node], .sticky, .edge-hit, .group-name, ${FLOATS}`)) this.board.select([])
  }

  #double(event) {
    const node = event.target.closest('[data-node]')?.dataset.node ?? this.#far(event)
    if (node) return this.board.dispatchEvent(new CustomEvent('open', { detail: { id: node } }))
    if (event.target.closest(`.sticky, ${FLOATS}`)) return
    const at = this.view.toWorld(event)
    this.palette.open({ at: { x: at.x - 92, y: at.y - 34 }, client: event })
  }

  // -- dragging cards

  #drag(event, id) {
    const { board, view } = this
    const chosen = board.selected.has(id) ? [...board.selected] : [id]
    const start = view.toWorld(event)
    let ids, from, moving, home, isLoose, began = false
    track(event, view, {
      move: (next) => {
        const at = view.toWorld(next)
        if (!began) {
          if (Math.hypot(next.clientX - event.clientX, next.clientY - event.clientY) < STILL) return
          began = true
          ids = board.withBodies(chosen)
          moving = new Set(ids)
          home = chosen.length === 1 ? this.#homeOf(id) : null
          isLoose = !board.store.doc.edges.some((edge) => edge.to === id || sourceOf(edge) === id)
          from = new Map(ids.map((each) => [each, { x: board.boxes.get(each).x, y: board.boxes.get(each).y }]))
          if (!board.selected.has(id)) board.select([id], { quiet: true })
          board.canvas.classList.add('is-dragged')
        }
        const dx = snap(at.x - start.x)
        const dy = snap(at.y - start.y)
        const aligned = next.ctrlKey ? { dx, dy } : this.#inLine(id, from.get(id), dx, dy, moving)
        board.show(ids.map((each) => [each, { x: snap(from.get(each).x + aligned.dx), y: snap(from.get(each).y + aligned.dy) }]))
        if (home) board.rehome(id, this.#isAway(id, home) ? '' : home.loop)
        if (chosen.length === 1) this.#markDrop(id, moving, at, isLoose && next)
      },
      end: (last, cancelled) => {
        if (!began) return
        board.canvas.classList.remove('is-dragged')
        this.#guides()
        const drop = board.markTarget()
        swallowNextClick(board.canvas)
        const left = home && board.boxes.get(id).loop !== home.loop
        if (left) board.rehome(id, home.loop)
        if (cancelled) return board.place()
        if (last.altKey) return this.#leaveCopies(ids, from, id)
        if (!this.#land(id, ids, drop, left ? home.loop : '')) board.place()
        board.dispatchEvent(new Event('select'))
      },
    })
  }

  #leaveCopies(ids, from, id) {
    const { x, y } = this.board.boxes.get(id)
    const offset = { x: x - from.get(id).x, y: y - from.get(id).y }
    this.board.place()
    this.actions.duplicate(offset)
  }

  /** The tray that a card lies in, as it is before the card moves. */
  #homeOf(id) {
    const { loop } = this.board.boxes.get(id)
    if (!loop) return null
    const { x, y, width, height } = this.board.boxes.get(loop)
    return { loop, left: x - LET_GO, top: y - LET_GO, right: x + width + LET_GO, bottom: y + height + LET_GO }
  }

  /** Whether a card has been dragged out of its tray, which grows around it till then. */
  #isAway(id, home) {
    const box = this.board.boxes.get(id)
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
    return x < home.left || x > home.right || y < home.top || y > home.bottom
  }

  /** What would take a card: a connection, if it is loose (and there is an `event` to look by); a tray that it is not in. */
  #markDrop(id, moving, at, event) {
    const { board } = this
    if (!board.element(id).querySelector(':scope > .port-in')) return
    const hit = event && this.#edgeUnder(id, event)
    const tray = this.#trayAt(at, moving)
    const isThere = tray === board.boxes.get(id).loop
    board.markTarget(hit ? hit.nextElementSibling : isThere ? undefined : board.element(tray))
  }

  /** The connection that a card lies on: where the pointer holds it, and in its middle, both look like being on the line. */
  #edgeUnder(id, { clientX, clientY }) {
    const element = this.board.element(id)
    const card = (element.querySelector('.node-card') ?? element).getBoundingClientRect()
    const under = [[clientX, clientY], [card.x + card.width / 2, card.y + card.height / 2]].flatMap(([x, y]) => document.elementsFromPoint(x, y))
    return under.find(({ classList }) => classList.contains('edge-hit'))
  }

  /** The innermost tray at a point of the world that is not dragged itself; '' where there is none. */
  #trayAt({ x, y }, moving) {
    const over = [...this.board.boxes].filter(([id, box]) => box.tray && !moving.has(id) && x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height)
    return over.sort(([, one], [, other]) => one.width * one.height - other.width * other.height)[0]?.[0] ?? ''
  }

  /** A drag has ended: what the card's place means for its connections. */
  #land(id, ids, target, left) {
    const { board, actions } = this
    const { from, port, to, node: tray } = target?.dataset ?? {}
    if (to) return actions.putBetween(id, { from, port, to })
    if (tray) return actions.putInto(id, tray)
    if (left) return actions.takeOut(id, left)
    return actions.move(ids)
  }

  /** Fall into line with the nearest card whose left, middle or top is close. */
  #inLine(id, from, dx, dy, moving) {
    const near = NEAR / this.view.scale
    const box = this.board.boxes.get(id)
    const at = { x: from.x + dx, y: from.y + dy }
    const mid = at.y + (box.tray ? box.mid : box.height / 2)
    let [x, y] = [null, null]
    for (const [other, its] of this.board.boxes) {
      if (moving.has(other) || its.loop !== box.loop) continue
      const left = its.x - at.x
      const middle = its.y + (its.tray ? its.mid : its.height / 2) - mid
      if (Math.abs(left) < near && (x === null || Math.abs(left) < Math.abs(x.by))) x = { by: left, at: its.x }
      if (Math.abs(middle) < near && (y === null || Math.abs(middle) < Math.abs(y.by))) y = { by: middle, at: mid + middle }
    }
    this.#guides(x?.at, y?.at)
    return { dx: dx + (x?.by ?? 0), dy: dy + (y?.by ?? 0) }
  }

  #guides(x, y) {
    const [upright, level] = [document.getElementById('guide-x'), document.getElementById('guide-y')]
    const { left, top, right, bottom } = this.view.window // read before anything is changed
    upright.hidden = x === undefined
    level.hidden = y === undefined
    if (x !== undefined) {
      upright.style.transform = `translate(${x}px, ${top}px)`
      upright.style.height = `${bottom - top}px`
    }
    if (y !== undefined) {
      level.style.transform = `translate(${left}px, ${y}px)`
      level.style.width = `${right - left}px`
    }
  }

  // -- choosing by a rectangle

  #marquee(event) {
    const { board, view } = this
    const frame = board.canvas.getBoundingClientRect()
    const drawn = document.getElementById('marquee')
    const kept = event.ctrlKey || event.metaKey ? [...board.selected] : []
    const from = view.toWorld(event)
    let began = false
    track(event, view, {
      move: (next) => {
        began = true
        const to = view.toWorld(next) // read before anything is changed
        drawn.hidden = false
        const [x, y] = [Math.min(event.clientX, next.clientX) - frame.left, Math.min(event.clientY, next.clientY) - frame.top]
        drawn.style.transform = `translate(${x}px, ${y}px)`
        drawn.style.width = `${Math.abs(next.clientX - event.clientX)}px`
        drawn.style.height = `${Math.abs(next.clientY - event.clientY)}px`
        const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)]
        const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)]
        const hit = [...board.boxes].filter(([, box]) => (box.tray
          ? box.x > left && box.y > top && box.x + box.width < right && box.y + box.height < bottom
          : box.x < right && box.x + box.width > left && box.y < bottom && box.y + box.height > top)).map(([id]) => id)
        board.select([...new Set([...kept, ...hit])], { quiet: true })
      },
      end: (last, cancelled) => {
        drawn.hidden = true
        if (cancelled) board.select(kept)
        else if (began) board.dispatchEvent(new Event('select'))
        swallowNextClick(board.canvas)
      },
    })
  }

  // -- connecting

  #connect(event, id, port) {
    event.preventDefault()
    const { board } = this
    const incoming = port.classList.contains('port-in')
    const own = board.links().filter(({ to }) => to === id)
    if (incoming && own.length !== 1) return
    const edge = incoming ? own[0] : null
    const from = edge?.from ?? id
    const name = edge?.port ?? port.dataset.port
    this.#draw(event, from, name, edge, port)
  }

  /** Draw a connection out of a port (with `edge`, the end of one that is there). */
  #draw(event, from, name, edge, port) {
    const { board, view, actions, palette } = this
    const line = document.getElementById('drawn')
    const source = board.boxes.get(from)
    let began = false
    let target = ''
    track(event, view, {
      move: (next) => {
        if (!began && Math.hypot(next.clientX - event.clientX, next.clientY - event.clientY) < STILL) return
        if (!began) this.#fade(from, name)
        began = true
        const over = document.elementFromPoint(next.clientX, next.clientY)?.closest('.world [data-node]:not(.edge):not(.edge-hit)')?.dataset.node
        target = over && over !== from && !refusal(board, from, name, over) ? over : ''
        const end = target ? endOf(board.boxes.get(target)) : view.toWorld(next)
        line.removeAttribute('hidden')
        line.setAttribute('d', curve(startOf(source, target ? board.boxes.get(target) : undefined, { from, port: name }), end))
        board.markTarget(target ? board.element(target) : undefined)
      },
      end: (last, cancelled) => {
        line.setAttribute('hidden', '')
        board.markTarget()
        for (const each of board.world.querySelectorAll('.is-unfit')) each.classList.remove('is-unfit')
        if (cancelled) return
        if (!began) {
          swallowNextClick(board.canvas)
          if (!edge) palette.open({ from, port: name, near: port })
          return
        }
        swallowNextClick(board.canvas)
        const over = document.elementFromPoint(last.clientX, last.clientY)?.closest('.world [data-node]:not(.edge):not(.edge-hit)')?.dataset.node
        if (edge && (target || !over)) return actions.replug(edge, target === edge.to ? edge.to : target)
        if (over && over !== from) return actions.connect(from, name, over)
        if (over) return
        const at = view.toWorld(last)
        palette.open({ from, port: name, at: { x: at.x, y: at.y - 34 }, client: last })
      },
    })
  }

  #fade(from, port) {
    for (const id of this.board.boxes.keys()) this.board.element(id).classList.toggle('is-unfit', id !== from && Boolean(refusal(this.board, from, port, id)))
  }

  // -- the small tools on an edge

  #listenToEdges() {
    const tools = document.getElementById('edge-tools')
    const { board } = this
    let edge = null
    let hiding
    const show = (hit) => {
      clearTimeout(hiding)
      const { from, port, to } = hit.dataset
      edge = { from, port, to }
      const { x, y } = board.edges.middle(edge)
      tools.hidden = false
      tools.style.transform = `translate(${x * this.view.scale + this.view.x}px, ${y * this.view.scale + this.view.y}px)`
    }
    const hide = () => { clearTimeout(hiding); hiding = setTimeout(() => { tools.hidden = true }, 350) }
    board.canvas.addEventListener('pointerover', (event) => {
      if (event.target.classList?.contains('edge-hit') && !event.buttons) show(event.target)
      else if (event.target.closest('#edge-tools')) clearTimeout(hiding)
    })
    board.canvas.addEventListener('pointerout', (event) => { if (event.target.classList?.contains('edge-hit') || event.target.closest('#edge-tools')) hide() })
    board.addEventListener('placed', () => { tools.hidden = true })
    tools.addEventListener('click', (event) => {
      const button = event.target.closest('[data-edge]')
      if (!button) return
      tools.hidden = true
      if (button.dataset.edge === 'remove') this.actions.disconnect(edge)
      else this.palette.open({ edge, client: event })
    })
  }
}

/** Follow the pointer till it is let go, panning at the view's edges. Esc, or losing the pointer, cancels. */
export function track(event, view, { move, end }) {
  const controller = new AbortController()
  const { signal } = controller
  const box = view.canvas.getBoundingClientRect()
  let last = event
  let frame = requestAnimationFrame(function pan() {
    const by = (low, high, at) => (at < low + EDGE_OF_VIEW ? EDGE_SPEED : at > high - EDGE_OF_VIEW ? -EDGE_SPEED : 0)
    const dx = by(box.left, box.right, last.clientX)
    const dy = by(box.top, box.bottom, last.clientY)
    if ((dx || dy) && last !== event) {
      view.pan(dx, dy)
      move(last)
    }
    frame = requestAnimationFrame(pan)
  })
  const finish = (cancelled) => {
    controller.abort()
    cancelAnimationFrame(frame)
    end(last, cancelled)
  }
  addEventListener('pointermove', (next) => { last = next; move(next) }, { signal })
  addEventListener('pointerup', (next) => { last = next; finish(false) }, { signal })
  addEventListener('pointercancel', () => finish(true), { signal })
  addEventListener('blur', () => finish(true), { signal })
  addEventListener('keydown', (key) => {
    if (key.key !== 'Escape') return
    key.preventDefault()
    key.stopPropagation()
    finish(true)
  }, { signal, capture: true })
}
