// “Add”: a list at the pointer, searched by what is typed. Enter puts the chosen node in and connects it; a row can
// also be dragged to where the node is wanted.

import { ask } from '../ask.js'
import { STILL, swallowNextClick } from '../canvas/view.js'
import { track } from './gestures.js'
import { toast } from './toasts.js'
import { called, say } from '../words.js'

const SHOWN = 60
const LEAST = 20 // how well an entry has to fit to be offered among other things
const RECENT = 'recent-nodes'

export class Palette {
  #entries
  #functions = []
  #shown = []
  #at = 0
  #where = {}

  constructor(store, actions) {
    Object.assign(this, { store, actions })
    this.box = document.getElementById('add')
    this.text = document.getElementById('add-text')
    this.list = document.getElementById('add-list')
    this.icons = document.querySelector('.zoom use').getAttribute('href').replace(/#.*/, '')
    this.text.addEventListener('input', () => this.#search())
    this.text.addEventListener('keydown', (event) => this.#key(event))
    this.list.addEventListener('pointermove', (event) => {
      const row = event.target.closest('[data-row]')
      if (row) this.#choose(Number(row.dataset.row))
    })
    this.list.addEventListener('pointerdown', (event) => this.#press(event))
    this.list.addEventListener('click', (event) => { if (event.target.closest('[data-row]')) this.#take() })
    document.addEventListener('pointerdown', (event) => { if (!this.box.hidden && !event.target.closest('#add')) this.close() })
    this.ready = this.#load()
  }

  get isOpen() { return !this.box.hidden }

  async #load() {
    const response = await ask('/palette')
    const { nodes, functions, modules } = await response.json()
    this.modules = modules
    this.#entries = nodes
    this.#functions = functions
  }

  get functions() { return this.#functions }
  entry(type) { return this.#entries?.find((entry) => entry.type === type) }

  /** Show the list. `where` says what becomes of the chosen node (see Actions.add), and where the list lies; of types with `configs` only those. */
  async open(where = {}) {
    if (this.store.readonly) return toast(say('readonly'))
    this.#where = where
    this.back = document.activeElement
    this.box.hidden = false
    this.#lay(where)
    this.text.value = ''
    this.text.focus()
    await this.ready
    return this.#search()
  }

  /** The entries that fit what is typed, the best first. */
  found(typed) {
    const wanted = typed.trim().toLowerCase()
    const scored = (this.#entries ?? []).map((entry) => ({ entry, score: score(entry, wanted) })).filter(({ score: value }) => value >= LEAST)
    return scored.sort((one, other) => other.score - one.score).map(({ entry }) => entry)
  }

  /** Put a node in without the list. */
  put(entry, where) {
    this.#remember(entry)
    this.actions.add(entry, where)
  }

  close() {
    this.box.hidden = true
    if (this.back?.isConnected) this.back.focus({ preventScroll: true })
  }

  #lay({ client, near }) {
    const frame = document.getElementById('canvas').getBoundingClientRect()
    const point = near?.getBoundingClientRect()
    const at = point ? { x: point.right + 12, y: point.top } : client ? { x: client.clientX, y: client.clientY } : { x: frame.left + 16, y: frame.top + 60 }
    const { width, height } = this.box.getBoundingClientRect()
    this.box.style.left = `${Math.max(8, Math.min(at.x, innerWidth - width - 12))}px`
    this.box.style.top = `${Math.max(8, Math.min(at.y - 24, innerHeight - Math.max(height, 420) - 12))}px`
  }

  #search() {
    const wanted = this.text.value.trim().toLowerCase()
    const { from, configs } = this.#where
    const inside = Boolean(from || this.#where.edge)
    const recent = this.#recent()
    const here = new Set(this.store.doc.nodes.map(({ type }) => type))
    const fits = this.#entries.filter((entry) => !(inside && entry.trigger) && (!configs || entry.type in configs))
    const scored = fits.map((entry) => ({ entry, score: score(entry, wanted) + (wanted ? 0 : rank(entry, recent, here, this.store.doc)) })).filter(({ score: value }) => value > 0)
    scored.sort((one, other) => other.score - one.score)
    this.#shown = scored.slice(0, SHOWN).map(({ entry }) => entry)
    if (!wanted) this.#shown = grouped(this.#shown)
    this.#at = 0
    this.#draw(!wanted)
    document.getElementById('add-count').textContent = wanted ? (this.#shown.length ? say('found', this.#shown.length) : '') : say('search', fits.length)
  }

  #draw(headed) {
    const rows = []
    let head = ''
    for (const [index, entry] of this.#shown.entries()) {
      if (headed && entry.family !== head) {
        head = entry.family
        rows.push(make('p', { class: 'qa-h', role: 'presentation' }, called('family', head)))
      }
      const row = make('div', { class: 'qa-row', role: 'option', id: `add-${index}`, 'data-row': index })
      row.append(this.#tile(entry, 'tile-s'), make('span', { class: 'qa-t' }, entry.title), make('span', { class: 'qa-s' }, entry.summary))
      rows.push(row)
    }
    if (!rows.length) rows.push(make('p', { class: 'qa-none' }, say('nothingCalled', this.text.value)))
    this.list.replaceChildren(...rows)
    this.list.scrollTop = 0
    this.#choose(0)
  }

  #choose(index) {
    this.#at = index
    for (const row of this.list.querySelectorAll('[data-row]')) {
      const on = Number(row.dataset.row) === index
      row.classList.toggle('is-on', on)
      row.setAttribute('aria-selected', on)
      if (on) row.scrollIntoView({ block: 'nearest' })
    }
    this.text.setAttribute('aria-activedescendant', this.#shown.length ? `add-${index}` : '')
    this.#explain(this.#shown[index])
  }

  #explain(entry) {
    const more = document.getElementById('add-more')
    if (!entry) return more.replaceChildren()
    const facts = make('dl', { class: 'facts qa-f' })
    const fact = (name, words) => { const row = make('div'); row.append(make('dt', {}, name), make('dd', {}, words)); facts.append(row) }
    if (entry.needs.length) fact(say('needs'), entry.needs.join(', '))
    fact(say('leavesBy'), entry.ports.length ? entry.ports.join(', ') : say('endsRun'))
    if (entry.loop) fact(say('inside'), 'item, index')
    const picture = make('div', { class: 'qa-pic', 'aria-hidden': 'true' })
    picture.append(this.#tile(entry, 'tile-l'))
    more.replaceChildren(picture, make('h2', { class: 'h-m' }, entry.title), make('p', { class: 'sub' }, entry.summary), facts)
  }

  #tile(entry, size) {
    const made = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
    made.setAttribute('class', `tile tile-${entry.tile} ${size}`)
    made.setAttribute('viewBox', '0 0 28 28')
    made.setAttribute('aria-hidden', 'true')
    const use = (href, attributes) => {
      const each = document.createElementNS('http://www.w3.org/2000/svg', 'use')
      each.setAttribute('href', `${this.icons}#${href}`)
      for (const [key, value] of Object.entries(attributes)) each.setAttribute(key, value)
      made.append(each)
    }
    use(`t-${entry.tile}`, { width: 28, height: 28 })
    use(`i-${entry.glyph}`, { class: 'glyph', x: 6, y: 6, width: 16, height: 16 })
    return made
  }

  #key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 }
    if (event.key in steps && this.#shown.length) this.#choose((this.#at + steps[event.key] + this.#shown.length) % this.#shown.length)
    else if (event.key === 'Enter') this.#take()
    else if (event.key === 'Escape') this.close()
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  #take() {
    const entry = this.#shown[this.#at]
    if (!entry) return
    this.box.hidden = true
    this.put(entry, this.#where)
  }

  #remember({ type }) {
    localStorage.setItem(RECENT, JSON.stringify([type, ...this.#recent().filter((each) => each !== type)].slice(0, 8)))
  }

  /** A row that is dragged: its node goes where it is let go, on the canvas or on an edge. */
  #press(event) {
    const row = event.target.closest('[data-row]')
    if (!row || event.button) return
    const entry = this.#shown[Number(row.dataset.row)]
    const { board, view } = this.actions
    const ghost = document.createElement('div')
    let began = false
    const over = (next) => document.elementsFromPoint(next.clientX, next.clientY)
    track(event, view, {
      move: (next) => {
        if (!began && Math.hypot(next.clientX - event.clientX, next.clientY - event.clientY) < STILL) return
        if (!began) {
          began = true
          ghost.className = 'qa-ghost'
          ghost.append(...row.cloneNode(true).children)
          document.body.append(ghost)
          this.box.classList.add('is-dragged')
        }
        ghost.style.transform = `translate(${next.clientX + 8}px, ${next.clientY - 20}px)`
        board.markTarget(over(next).find((each) => each.classList.contains('edge-hit'))?.nextElementSibling)
      },
      end: (last, cancelled) => {
        ghost.remove()
        this.box.classList.remove('is-dragged')
        if (!began) return
        swallowNextClick(this.list)
        const edge = board.markTarget()?.dataset
        if (cancelled || !over(last).some((each) => each.id === 'canvas')) return
        this.box.hidden = true
        const at = view.toWorld(last)
        const put = { x: at.x - 92, y: at.y - 34 }
        const { configs } = this.#where
        if (configs) this.put(entry, { ...this.#where, at: put })
        else this.put(entry, edge ? { from: edge.from, port: edge.port, edge: { ...edge } } : { at: put })
      },
    })
  }

  #recent() {
    try {
      return JSON.parse(localStorage.getItem(RECENT) ?? '[]')
    } catch {
      return []
    }
  }
}

/** How well an entry fits what was typed: title first, then other names, then what it does; 0 for not at all. */
function score(entry, wanted) {
  if (!wanted) return 1
  const words = wanted.split(/\s+/)
  return words.reduce((sum, word) => (sum ? Math.min(sum, one(entry, word)) : 0), Infinity) || 0
}

function one(entry, word) {
  const title = entry.title.toLowerCase()
  if (title.startsWith(word)) return 100 - title.length / 10
  if (title.split(/\W+/).some((part) => part.startsWith(word))) return 80
  if (entry.aliases.some((alias) => alias.startsWith(word))) return 60
  if (title.includes(word) || entry.type.includes(word)) return 40
  if (entry.summary.toLowerCase().includes(word)) return 20
  return isSubsequence(word, title) ? 5 : 0
}

function isSubsequence(word, text) {
  let at = 0
  for (const letter of text) if (letter === word[at]) at += 1
  return word.length > 2 && at === word.length
}

function rank(entry, recent, here, doc) {
  const place = recent.indexOf(entry.type)
  const first = !doc.nodes.length && entry.trigger ? 40 : 0
  return first + (place < 0 ? 0 : 20 - place) + (here.has(entry.type) ? 5 : 0)
}

/** Families stay together, the one with the best entry first. */
function grouped(entries) {
  const families = [...new Set(entries.map(({ family }) => family))]
  return families.flatMap((family) => entries.filter((entry) => entry.family === family))
}

function make(name, attributes = {}, text) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  if (text !== undefined) made.textContent = text
  return made
}
