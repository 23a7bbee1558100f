// What part of the world is seen: drag to pan, wheel to zoom, a fitted view to begin with.

const MARGIN = { x: 40, top: 32, bottom: 84 } // room for what floats at the bottom
const TOOLS = 76 // room for the tools at the top, where there are some
const LIMITS = [0.1, 2]
export const STILL = 4 // a press that moves less is a click
export const FLOATS = '.zoom, .tools, .minimap, .start, .edge-tools, .qa' // what lies on the canvas and is no part of the world

export class View {
  #size

  /** `boxes` by id, as they are at any time; `pans` says of a press whether it moves the view. */
  constructor(canvas, world, boxes, { pans = () => true } = {}) {
    Object.assign(this, { canvas, world, boxes, pans, x: 0, y: 0, scale: 1, onChange: () => {}, beside: () => [] })
    new ResizeObserver(() => { this.#size = undefined; this.onChange() }).observe(canvas)
    this.#listen()
  }

  /** Show these boxes (all, and what lies beside them, without any), never larger than life. */
  fit(boxes = [...this.boxes.values(), ...this.beside()]) {
    const { width, height } = this.size
    const bounds = boundsOf(boxes)
    if (!width) return
    if (!bounds) return this.show(width / 2, height / 2, 1)
    const { left, top, right, bottom } = bounds
    const upper = this.canvas.querySelector('.tools')?.checkVisibility() ? TOOLS : MARGIN.top
    const room = { x: width - 2 * MARGIN.x, y: height - upper - MARGIN.bottom }
    this.scale = clamp(Math.min(1, room.x / (right - left), room.y / (bottom - top)))
    this.x = (width - (right - left) * this.scale) / 2 - left * this.scale
    this.y = upper + (room.y - (bottom - top) * this.scale) / 2 - top * this.scale
    this.#apply()
  }

  /** Zoom by a factor around a point of the canvas (its middle, without one). */
  zoom(factor, at = middle(this.canvas)) {
    const scale = clamp(this.scale * factor)
    this.x = at.x - (at.x - this.x) * (scale / this.scale)
    this.y = at.y - (at.y - this.y) * (scale / this.scale)
    this.scale = scale
    this.#apply()
  }

  /** Come near enough to a box that it can be read. */
  approach(box) {
    const { width, height } = this.size
    const scale = Math.max(this.scale, 0.7)
    this.show(width / 2 - (box.x + box.width / 2) * scale, height / 2 - (box.y + box.height / 2) * scale, scale)
  }

  /** Move so that a node is in sight. */
  reveal(element, box) {
    if (box && (element.classList.contains('is-away') || this.canvas.classList.contains('is-far'))) return this.approach(box)
    const node = element.getBoundingClientRect()
    const frame = this.canvas.getBoundingClientRect()
    const dx = Math.max(frame.left + 20 - node.left, 0) || Math.min(frame.right - 20 - node.right, 0)
    const dy = Math.max(frame.top + 20 - node.top, 0) || Math.min(frame.bottom - MARGIN.bottom - node.bottom, 0)
    if (dx || dy) this.#pan(dx, dy)
  }

  /** Put the world's origin at a point of the canvas, at a scale. */
  show(x, y, scale) {
    Object.assign(this, { x, y, scale })
    this.#apply()
  }

  /** A point of the window in the world's units. */
  toWorld({ clientX, clientY }) {
    const frame = this.canvas.getBoundingClientRect()
    return { x: (clientX - frame.left - this.x) / this.scale, y: (clientY - frame.top - this.y) / this.scale }
  }

  /** How large the canvas is. It is measured when that changes: asking in a gesture would lay out everything. */
  get size() { return (this.#size ??= { width: this.canvas.clientWidth, height: this.canvas.clientHeight }) }

  /** What is seen of the world. */
  get window() {
    const { width, height } = this.size
    return { left: -this.x / this.scale, top: -this.y / this.scale, right: (width - this.x) / this.scale, bottom: (height - this.y) / this.scale }
  }

  /** Move the view by pixels. */
  pan(dx, dy) { this.#pan(dx, dy) }

  #pan(dx, dy) {
    this.x += dx
    this.y += dy
    this.#apply()
  }

  #apply() {
    this.world.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`
    this.canvas.style.backgroundPosition = `${this.x}px ${this.y}px`
    this.canvas.dataset.zoom = this.scale > 0.6 ? 'near' : this.scale > 0.35 ? 'mid' : 'far'
    const shown = `${Math.round(this.scale * 100)}%`
    const button = this.canvas.querySelector('.zoom-v')
    if (button.textContent !== shown) {
      button.textContent = shown
      button.setAttribute('aria-label', `${shown}, back to 100 %`)
    }
    this.onChange()
  }

  #listen() {
    const { canvas } = this
    canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false })
    canvas.addEventListener('pointerdown', (event) => this.#onPress(event))
    canvas.addEventListener('dragstart', (event) => event.preventDefault())
    canvas.addEventListener('click', (event) => {
      const button = event.target.closest('.zoom button')
      if (!button) return
      if ('fit' in button.dataset) this.fit()
      else this.zoom(button.dataset.zoomBy ? Number(button.dataset.zoomBy) : Number(button.dataset.zoomTo) / this.scale)
    })
    addEventListener('resize', () => {
      this.#size = undefined
      if (!this.touched) this.fit()
    })
  }

  #onWheel(event) {
    if (event.target.closest('.qa')) return
    event.preventDefault()
    this.touched = true
    if (event.shiftKey) return this.#pan(-event.deltaY - event.deltaX, 0)
    const frame = this.canvas.getBoundingClientRect()
    const pixels = event.deltaMode ? event.deltaY * 24 : event.deltaY
    this.zoom(Math.exp(-Math.max(-120, Math.min(120, pixels)) / 300), { x: event.clientX - frame.left, y: event.clientY - frame.top })
  }

  #onPress(event) {
    if (event.button > 1 || event.target.closest(FLOATS) || (event.button === 0 && !this.pans(event))) return
    const from = { x: event.clientX, y: event.clientY, panned: false }
    const controller = new AbortController()
    const { signal } = controller
    const move = (next) => {
      if (!from.panned && Math.hypot(next.clientX - from.x, next.clientY - from.y) < STILL) return
      from.panned = this.touched = true
      this.canvas.classList.add('is-panned')
      this.#pan(next.clientX - from.x, next.clientY - from.y)
      from.x = next.clientX
      from.y = next.clientY
    }
    const end = () => {
      controller.abort()
      this.canvas.classList.remove('is-panned')
      // The click that follows a drag opens nothing.
      if (from.panned) swallowNextClick(this.canvas)
    }
    addEventListener('pointermove', move, { signal })
    addEventListener('pointerup', end, { signal })
    addEventListener('pointercancel', end, { signal })
  }
}

/** The click that ends a drag is none. */
export function swallowNextClick(canvas) {
  const swallow = (event) => { event.preventDefault(); event.stopPropagation() }
  canvas.addEventListener('click', swallow, { capture: true, once: true })
  setTimeout(() => canvas.removeEventListener('click', swallow, { capture: true }))
}

/** What a rectangle around the boxes measures; null without any. */
export function boundsOf(boxes) {
  if (!boxes.length) return null
  return {
    left: Math.min(...boxes.map((box) => box.x)),
    top: Math.min(...boxes.map((box) => box.y)),
    right: Math.max(...boxes.map((box) => box.x + box.width + (box.tray ? 10 : 0))),
    bottom: Math.max(...boxes.map((box) => box.y + box.height + (box.tray ? 10 : 20))),
  }
}

const clamp = (scale) => Math.max(LIMITS[0], Math.min(LIMITS[1], scale))
const middle = (canvas) => ({ x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 })
