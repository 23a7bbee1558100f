// Sticky notes, and frames around groups of nodes. They lie in the document and mean nothing to a run.
import { track } from './gestures.js'
import { snap } from './board.js'
import { say } from '../words.js'

const FRAME = { x: 20, top: 40, bottom: 36 }

export class Notes {
  constructor(store, board, view, actions) {
    Object.assign(this, { store, board, view, actions })
    this.layer = document.getElementById('notes')
    this.frames = document.getElementById('groups')
    board.addEventListener('placed', () => this.draw())
    this.layer.addEventListener('pointerdown', (event) => this.#press(event))
    this.layer.addEventListener('dblclick', (event) => { if (!event.target.closest('textarea')) this.#edit(event.target.closest('.sticky')) })
    this.layer.addEventListener('keydown', (event) => this.#key(event))
    this.frames.addEventListener('pointerdown', (event) => this.#dragGroup(event))
    this.frames.addEventListener('dblclick', (event) => this.#renameGroup(event.target.closest('.group')))
    this.frames.addEventListener('click', (event) => { if (event.target.closest('[data-ungroup]')) this.#ungroup(event.target.closest('.group').dataset.group) })
  }

  /** A note in the middle of the view, open for writing. */
  add() {
    const { left, right, top, bottom } = this.view.window
    const id = `n${Date.now().toString(36)}`
    const value = { text: '', x: snap((left + right) / 2 - 120), y: snap((top + bottom) / 2 - 40), width: 240, height: 80 }
    this.actions.change(say('noted'), [{ kind: 'set', path: `notes.${id}`, value }])
    this.#edit(this.layer.querySelector(`[data-note="${id}"]`))
  }

  group() {
    const nodes = [...this.board.selected]
    if (!nodes.length) return
    const id = `g${Date.now().toString(36)}`
    this.actions.change(say('grouped', say('nodes', nodes.length)), [{ kind: 'set', path: `groups.${id}`, value: { name: say('group'), nodes } }])
    this.#renameGroup(this.frames.querySelector(`[data-group="${id}"]`))
  }

  /** Where the notes lie, as boxes. */
  get boxes() {
    return Object.values(this.store.doc.own.notes ?? {}).map(({ x = 0, y = 0, width = 240, height = 96 }) => ({ x, y, width, height }))
  }

  draw() {
    const { notes = {}, groups = {} } = this.store.doc.own
    sync(this.layer, notes, 'note', (id) => made('sticky', 'note', id))
    for (const element of this.layer.children) {
      const note = notes[element.dataset.note]
      element.style.transform = `translate(${note.x ?? 0}px, ${note.y ?? 0}px)`
      element.style.width = `${note.width ?? 240}px`
      element.style.minHeight = `${note.height ?? 96}px`
      if (!element.querySelector('textarea')) element.querySelector('.sticky-t').textContent = note.text ?? ''
      element.setAttribute('aria-label', say('note', note.text ?? ''))
    }
    sync(this.frames, groups, 'group', (id) => made('group', 'group', id))
    for (const element of this.frames.children) this.#frame(element, groups[element.dataset.group])
  }

  #frame(element, group) {
    const boxes = (group.nodes ?? []).map((id) => this.board.boxes.get(id)).filter(Boolean)
    element.hidden = !boxes.length
    if (!boxes.length) return
    const left = Math.min(...boxes.map(({ x }) => x)) - FRAME.x
    const top = Math.min(...boxes.map(({ y }) => y)) - FRAME.top
    element.style.transform = `translate(${left}px, ${top}px)`
    element.style.width = `${Math.max(...boxes.map(({ x, width }) => x + width)) + FRAME.x - left}px`
    element.style.height = `${Math.max(...boxes.map(({ y, height }) => y + height)) + FRAME.bottom - top}px`
    if (!element.querySelector('input')) element.querySelector('.group-t').textContent = group.name || 'Group'
  }

  #press(event) {
    const element = event.target.closest('.sticky')
    if (!element || event.button || event.target.closest('textarea')) return
    if (event.target.closest('[data-drop]')) return this.#remove(element.dataset.note)
    const id = element.dataset.note
    const note = this.store.doc.own.notes[id]
    const sizing = event.target.closest('.sticky-size')
    const start = this.view.toWorld(event)
    const shown = { ...note }
    let moved = false
    track(event, this.view, {
      move: (next) => {
        const at = this.view.toWorld(next)
        moved = true
        if (sizing) {
          shown.width = Math.max(80, snap((note.width ?? 240) + at.x - start.x))
          shown.height = Math.max(40, snap((note.height ?? 96) + at.y - start.y))
          element.style.width = `${shown.width}px`
          element.style.minHeight = `${shown.height}px`
        } else {
          shown.x = snap((note.x ?? 0) + at.x - start.x)
          shown.y = snap((note.y ?? 0) + at.y - start.y)
          element.style.transform = `translate(${shown.x}px, ${shown.y}px)`
        }
      },
      end: (last, cancelled) => {
        if (cancelled || !moved) return this.draw()
        const fields = sizing ? ['width', 'height'] : ['x', 'y']
        return this.actions.change(say('moved', say('aNote')), fields.map((field) => ({ kind: 'set', path: `notes.${id}.${field}`, value: shown[field] })))
      },
    })
  }

  #edit(element) {
    if (!element || element.querySelector('textarea')) return
    const id = element.dataset.note
    const before = this.store.doc.own.notes[id].text ?? ''
    const base = this.store.seq
    writeInPlace(element.querySelector('.sticky-t'), 'textarea', 'Note', before, ['Escape'], (value) => {
      if (value !== before) this.actions.change(say('wroteNote'), [{ kind: 'set', path: `notes.${id}.text`, value, base }])
      this.draw()
    })
  }

  #key(event) {
    const element = event.target.closest('.sticky')
    if (!element || event.target.matches('textarea')) return
    if (event.key === 'Enter') this.#edit(element)
    else if (event.key === 'Delete' || event.key === 'Backspace') this.#remove(element.dataset.note)
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  #remove(id) {
    this.actions.change(say('deleted', say('aNote')), [{ kind: 'unset', path: `notes.${id}` }])
  }

  #dragGroup(event) {
    const element = event.target.closest('.group')
    if (!element || event.button || !event.target.closest('.group-name') || event.target.closest('input, button')) return
    const ids = this.board.withBodies((this.store.doc.own.groups[element.dataset.group].nodes ?? []).filter((id) => this.board.boxes.has(id)))
    const from = new Map(ids.map((id) => [id, { x: this.board.boxes.get(id).x, y: this.board.boxes.get(id).y }]))
    const start = this.view.toWorld(event)
    let moved = false
    track(event, this.view, {
      move: (next) => {
        moved = true
        const at = this.view.toWorld(next)
        this.board.show(ids.map((id) => [id, { x: snap(from.get(id).x + at.x - start.x), y: snap(from.get(id).y + at.y - start.y) }]))
        this.draw()
      },
      end: (last, cancelled) => {
        if (cancelled) this.board.place()
        else if (moved) this.actions.move(ids)
        else this.board.select(ids)
      },
    })
  }

  #renameGroup(element) {
    if (!element || element.querySelector('input')) return
    const id = element.dataset.group
    const before = this.store.doc.own.groups[id].name ?? ''
    const base = this.store.seq
    const field = writeInPlace(element.querySelector('.group-t'), 'input', 'Name of the group', before, ['Enter', 'Escape'], (value) => {
      if (value && value !== before) this.actions.change(say('renamed', value), [{ kind: 'set', path: `groups.${id}.name`, value, base }])
      this.draw()
    })
    field.select()
  }

  #ungroup(id) {
    this.actions.change(say('ungrouped'), [{ kind: 'unset', path: `groups.${id}` }])
  }
}

/** A field in the place of a text; `done` gets what it holds when it is left, by one of the keys or by a click. */
function writeInPlace(place, tag, label, value, keys, done) {
  const field = document.createElement(tag)
  field.value = value
  field.setAttribute('aria-label', label)
  place.replaceChildren(field)
  field.focus()
  field.addEventListener('blur', () => {
    field.remove()
    done(field.value)
  }, { once: true })
  field.addEventListener('keydown', (event) => {
    if (keys.includes(event.key)) { event.stopPropagation(); field.blur() }
  })
  return field
}

function sync(layer, wanted, name, make) {
  for (const element of [...layer.children]) if (!(element.dataset[name] in wanted)) element.remove()
  const there = new Set([...layer.children].map((element) => element.dataset[name]))
  for (const id of Object.keys(wanted)) if (!there.has(id)) layer.append(make(id))
}

function made(kind, name, id) {
  const template = document.getElementById(`t-${kind}`)
  const element = template.content.firstElementChild.cloneNode(true)
  element.dataset[name] = id
  return element
}
