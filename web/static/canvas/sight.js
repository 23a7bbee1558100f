// What of a large workflow is drawn: near, only the cards in sight; from afar all of it, as blocks on one canvas.
import { endOf, startOf } from './edges.js'
import { applyBox } from './layout.js'

export const FAR = 0.4
const MARGIN = 80 // pixels around the window in which cards are drawn already
export const MANY = 60 // with fewer cards nothing is hidden: there is nothing to gain
const STATES = [['is-fail', '--fail'], ['is-run', '--run'], ['is-wait', '--wait'], ['is-ok', '--ok']]

export class Sight {
  #seen = new Set()
  #frame
  #colours

  /** `boxes` by id and `edges` (an `Edges`), as they are at any time; `attach` puts a card into the document. */
  constructor(view, boxes, edges, attach = () => {}) {
    Object.assign(this, { view, boxes, edges, attach })
    this.paper = document.createElement('canvas')
    this.paper.className = 'far'
    this.paper.hidden = true
    view.canvas.prepend(this.paper)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { this.#colours = undefined; this.soon() })
  }

  get isFar() { return this.view.scale < FAR && this.boxes.size > MANY }

  /** Something has moved: draw in the next frame. */
  soon() { this.#frame ??= requestAnimationFrame(() => { this.#frame = undefined; this.#update() }) }

  /** Draw at once, before anything is shown. */
  now() { this.#update() }

  /** The topmost node at a point of the window, where cards are no elements. */
  hit(event) {
    const { x, y } = this.view.toWorld(event)
    const over = [...this.boxes].filter(([, box]) => x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height)
    return (over.find(([, box]) => !box.tray) ?? over[0])?.[0]
  }

  #update() {
    const far = this.isFar
    this.view.canvas.classList.toggle('is-far', far)
    this.paper.hidden = !far
    if (far) this.#paint()
    else if (this.boxes.size > MANY || this.#seen.size) this.#cull()
  }

  #cull() {
    const { left, top, right, bottom } = this.view.window
    const margin = MARGIN / this.view.scale
    const seen = new Set()
    for (const [id, box] of this.boxes) {
      const inside = box.x < right + margin && box.x + box.width > left - margin && box.y < bottom + margin && box.y + box.height > top - margin
      if (inside) seen.add(id)
      if (box.away === !inside) continue
      box.away = !inside
      if (inside) {
        this.attach(id)
        applyBox(box)
      }
      box.element.classList.toggle('is-away', !inside)
    }
    if (seen.size === this.#seen.size && [...seen].every((id) => this.#seen.has(id))) return
    this.#seen = seen
    this.edges.cull(seen, this.boxes)
  }

  #paint() {
    const { paper, view } = this
    const { width, height } = view.size
    const ratio = Math.min(devicePixelRatio, 2)
    if (paper.width !== width * ratio || paper.height !== height * ratio) {
      paper.width = width * ratio
      paper.height = height * ratio
      paper.style.width = `${width}px`
      paper.style.height = `${height}px`
    }
    const ink = paper.getContext('2d')
    const colours = (this.#colours ??= coloursOf(view.canvas))
    ink.setTransform(ratio, 0, 0, ratio, 0, 0)
    ink.clearRect(0, 0, width, height)
    ink.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.x * ratio, view.y * ratio)
    this.#paintTrays(ink, colours)
    this.#paintEdges(ink, colours)
    this.#paintCards(ink, colours)
  }

  #paintTrays(ink, colours) {
    ink.lineWidth = 1.5 / this.view.scale
    for (const box of this.boxes.values()) {
      if (!box.tray) continue
      ink.fillStyle = colours['--paper']
      ink.strokeStyle = box.element.classList.contains('is-selected') ? colours['--ink'] : stateOf(box, colours) ?? colours['--line-strong']
      ink.fillRect(box.x, box.y, box.width, box.height)
      ink.strokeRect(box.x, box.y, box.width, box.height)
    }
  }

  #paintEdges(ink, colours) {
    ink.strokeStyle = colours['--edge']
    ink.lineWidth = 1 / this.view.scale
    ink.beginPath()
    for (const edge of this.edges.all) {
      const source = this.boxes.get(edge.from)
      const target = this.boxes.get(edge.to)
      if (!source || !target) continue
      const a = startOf(source, target, edge)
      const b = endOf(target)
      ink.moveTo(a.x, a.y)
      ink.lineTo(b.x, b.y)
    }
    ink.stroke()
  }

  #paintCards(ink, colours) {
    const { left, top, right, bottom } = this.view.window
    const plain = []
    for (const box of this.boxes.values()) {
      if (box.tray || box.x > right || box.x + box.width < left || box.y > bottom || box.y + box.height < top) continue
      plain.push(box)
    }
    ink.fillStyle = colours['--card']
    for (const box of plain) ink.fillRect(box.x, box.y, box.width, box.height)
    ink.lineWidth = 1 / this.view.scale
    ink.strokeStyle = colours['--line-strong']
    for (const box of plain) ink.strokeRect(box.x, box.y, box.width, box.height)
    for (const box of plain) {
      ink.fillStyle = colours[box.family ??= familyOf(box)]
      ink.fillRect(box.x + 12, box.y + 14, 40, 40)
      const state = stateOf(box, colours)
      if (state) outline(ink, box, state, 3 / this.view.scale)
      if (box.element.classList.contains('is-selected')) outline(ink, box, colours['--ink'], 3 / this.view.scale)
    }
  }
}

function outline(ink, box, colour, width) {
  ink.strokeStyle = colour
  ink.lineWidth = width
  ink.strokeRect(box.x, box.y, box.width, box.height)
}

const stateOf = (box, colours) => {
  const found = STATES.find(([name]) => box.element.classList.contains(name))
  return found && colours[found[1]]
}

const familyOf = (box) => `--fam-${/tile-(trigger|action|condition|loop|transform|integration|guardrail|ai)/.exec(box.element.querySelector('.tile')?.getAttribute('class') ?? '')?.[1] ?? 'action'}`

function coloursOf(element) {
  const style = getComputedStyle(element)
  const names = ['--paper', '--card', '--ink', '--edge', '--line-strong', '--fail', '--run', '--wait', '--ok',
    ...['trigger', 'action', 'condition', 'loop', 'transform', 'integration', 'guardrail', 'ai'].map((family) => `--fam-${family}`)]
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(name)]))
}
