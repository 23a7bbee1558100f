// The bench under the canvas: what the chosen node gets, how it is set up, what it gave.
import { ask } from '../ask.js'
import { openTab } from '../bench.js'
import { parse } from '../exact.js'
import { showViews, wantedView } from '../views.js'
import { Branches } from './branches.js'
import { toast } from './toasts.js'
import { say } from '../words.js'

export class Bench {
  #shown = ''
  #asked = 0
  #coming
  path = ''

  constructor(store, board, form, actions) {
    Object.assign(this, { store, board, form, actions, run: '' })
    this.dock = document.getElementById('bench')
    this.panel = document.getElementById('panel-node')
    this.who = document.getElementById('bench-who')
    this.empty = this.panel.innerHTML
    this.branches = new Branches(this.panel, (at) => this.#text('rows', { at }))
    board.addEventListener('select', () => this.show())
    this.panel.addEventListener('click', (event) => this.#click(event))
    this.#listenToDragging()
  }

  /** Show the chosen node. `again` also when it is the one that is shown, as after a run. */
  async show({ again = false, focus = false } = {}) {
    const id = this.board.current
    if (!id) return this.#clear(again)
    // Asked twice for one node, as by a click and a key: the second waits for the first.
    if (id === this.#coming?.id && !again) {
      await this.#coming.loaded
      return focus && id === this.#shown ? this.focus() : undefined
    }
    if (id === this.#shown && !again) {
      // What is still on its way is another node's.
      this.#leave()
      return focus ? this.focus() : undefined
    }
    const number = this.#leave()
    const coming = { id, loaded: this.#load(id, focus, number) }
    this.#coming = coming
    await coming.loaded
    if (this.#coming === coming) this.#coming = undefined
    return undefined
  }

  /** What was asked for so far is not to be shown any more; the number of what is asked for next. */
  #leave() {
    this.#coming = undefined
    return ++this.#asked
  }

  async #load(id, focus, number) {
    if (id !== this.#shown) this.path = ''
    this.form.flush()
    await this.store.flush()
    if (number !== this.#asked) return undefined
    const query = new URLSearchParams({ node: id, run: this.run, path: this.path, view: wantedView() })
    const response = await ask(`/workflows/${this.store.id}/bench?${query}`)
    if (number !== this.#asked) return undefined
    if (!response?.ok) return this.#empty(id)
    const { bench, who, names, path } = await response.json()
    if (number !== this.#asked) return undefined
    const keep = this.#shown === id ? this.#state() : null
    if (keep) this.branches.keep()
    else this.branches.forget()
    this.#shown = id
    this.names = names
    this.path = path
    this.#put(bench, keep)
    this.branches.restore().then((more) => { if (more && keep && number === this.#asked) this.#return(keep) })
    this.who.innerHTML = who
    showViews()
    this.form.shown({ path, run: this.panel.querySelector('.bench').dataset.run })
    this.#address(id)
    if (focus) this.focus()
    return undefined
  }

  /** Of a value only the view that is wanted is brought: bring another one. */
  lookAgain() {
    if (this.#shown) this.show({ again: true })
  }

  /** What cannot be fetched is not shown as another node either. */
  #empty(id) {
    if (id === this.#shown) return
    this.#shown = ''
    this.panel.innerHTML = this.empty
    this.who.replaceChildren()
    toast(say('noServer'))
  }

  get shown() { return this.#shown }

  /** The caret into the first required field that is empty, else into the first. */
  focus() {
    // Somebody who is already adding the next node keeps the caret.
    if (!document.getElementById('add').hidden) return
    if (this.dock.querySelector('[data-tab="node"]').getAttribute('aria-selected') !== 'true') openTab('node')
    document.body.classList.remove('is-closed')
    const fields = [...this.panel.querySelectorAll('#form [data-path]')].filter((field) => field.checkVisibility())
    const empty = fields.find((field) => (field.getAttribute('aria-required') || field.required) && !field.value)
    const first = empty ?? fields[0]
    const target = first?.matches('.rows') ? first.querySelector('input, textarea, button') : first
    ;(target ?? document.getElementById('form'))?.focus()
  }

  /** The caret into one field, such as the one that a problem is about. */
  focusField(path) {
    const fields = [...this.panel.querySelectorAll('[data-field]')]
    const field = fields.find(({ dataset }) => path === dataset.field || path.startsWith(`${dataset.field}.`) || path.startsWith(`${dataset.field}[`))
    if (!field) return this.focus()
    const fold = field.closest('details')
    if (fold) fold.open = true
    field.querySelector('textarea:not([hidden]), input, select, button')?.focus()
    return undefined
  }

  #clear(again) {
    const number = this.#leave()
    const stays = again && !this.#shown && document.getElementById('form')
    this.#shown = ''
    if (!stays) {
      this.panel.innerHTML = this.empty
      this.who.replaceChildren()
      this.#address('')
    }
    this.#settings(number)
  }

  /** Without a chosen node the bench shows the workflow's own settings. */
  async #settings(number) {
    this.form.flush()
    await this.store.flush()
    const response = await fetch(`/workflows/${this.store.id}/settings`).catch(() => null)
    if (number !== this.#asked || !response?.ok) return
    const html = await response.text()
    if (number !== this.#asked) return
    this.#put(html, document.getElementById('form')?.dataset.node === '' ? this.#state() : null)
    this.form.shown({})
  }

  #address(id) {
    const address = new URL(location)
    if (id) address.searchParams.set('node', id)
    else address.searchParams.delete('node')
    history.replaceState(history.state, '', address)
  }

  /** Show the new bench. A field stays as it is while one types in it; the caret stays where it was in any case. */
  #put(html, keep) {
    const inside = keep && document.activeElement.closest('#panel-node .col-form [data-field]')
    const typing = inside && this.form.isTyping(this.#shown, inside.dataset.field) ? inside : null
    const isHeld = ({ dataset }) => this.form.isTyping(this.#shown, dataset.field)
    if (!typing) {
      const caret = inside ? caretIn(inside) : null
      const held = keep ? [...this.panel.querySelectorAll('.col-form [data-field]')].filter(isHeld) : []
      this.panel.innerHTML = html
      for (const field of held) this.panel.querySelector(`.col-form [data-field="${CSS.escape(field.dataset.field)}"]`)?.replaceWith(field)
      if (keep) this.#restore({ ...keep, caret })
      return
    }
    const template = document.createElement('template')
    template.innerHTML = html
    const fresh = template.content.firstElementChild
    const bench = this.panel.querySelector('.bench')
    for (const name of ['path', 'run']) bench.dataset[name] = fresh.dataset[name]
    for (const field of bench.querySelectorAll('.col-form [data-field]')) {
      const made = fresh.querySelector(`[data-field="${CSS.escape(field.dataset.field)}"]`)
      if (made && field !== typing && !isHeld(field)) field.replaceWith(made)
    }
    const columns = [...fresh.children]
    for (const [index, column] of [...bench.children].entries()) if (!column.matches('.col-form')) column.replaceWith(columns[index])
  }

  /** What a reload of the same node must not lose: what is open, how far it is scrolled, where the caret is. */
  #state() {
    const active = document.activeElement
    const pin = this.panel.querySelector('#pin-form:not([hidden]) textarea')
    return {
      pin: pin?.value,
      folds: this.#folds().map((each) => each.open),
      scrolled: [...this.panel.querySelectorAll('.col')].map((col) => col.scrollTop),
      part: this.#partOf(active),
      focus: active?.id && this.panel.contains(active) ? { id: active.id, caret: active.selectionStart, value: active.value } : null,
    }
  }

  /** Scroll to where it was, and give the focus back to a button or a branch; once more when its rows have come. */
  #return({ scrolled, part }) {
    const columns = [...this.panel.querySelectorAll('.col')]
    columns.forEach((col, index) => { col.scrollTop = scrolled[index] ?? 0 })
    if (part && document.activeElement === document.body) columns[part.column]?.querySelector(part.found)?.focus({ preventScroll: true })
  }

  /** Where the focus is, if on a button of the views or on a branch: in which column, and how it is found there. */
  #partOf(active) {
    const column = [...this.panel.querySelectorAll('.col')].findIndex((col) => col.contains(active))
    const branch = active?.closest('summary')?.parentElement.dataset.at
    const found = active?.dataset.show ? `[data-show="${active.dataset.show}"]` : branch ? `details[data-at="${CSS.escape(branch)}"] > summary` : ''
    return column >= 0 && found ? { column, found } : null
  }

  #folds() { return [...this.panel.querySelectorAll('#form details')] }

  #restore({ pin, folds, scrolled, part, focus, caret }) {
    if (pin !== undefined && document.getElementById('pin-form')) this.#openPin(pin)
    const now = this.#folds()
    if (now.length === folds.length) now.forEach((each, index) => { each.open = folds[index] })
    if (caret) {
      this.#return({ scrolled })
      return putCaret(this.panel, caret)
    }
    this.#return({ scrolled, part })
    if (part) return
    const again = focus && document.getElementById(focus.id)
    if (!again) return
    if (again.value !== focus.value && again.matches('textarea, input:not([type=checkbox])')) again.value = focus.value
    again.focus({ preventScroll: true })
    if (focus.caret !== null && again.setSelectionRange) try { again.setSelectionRange(focus.caret, focus.caret) } catch { /* number fields have no caret */ }
  }

  #click(event) {
    const round = event.target.closest('[data-round]')
    if (round) {
      this.path = round.dataset.round
      return this.show({ again: true })
    }
    const reach = event.target.closest('[data-reach]')
    if (reach && (event.detail === 2 || event.target.closest('.jk'))) {
      if (this.form.insert(reach.dataset.reach)) event.preventDefault()
    }
    return undefined
  }

  #listenToDragging() {
    this.dock.addEventListener('dragstart', (event) => {
      const row = event.target.closest('[data-reach]')
      if (!row) return
      event.dataTransfer.setData('text/plain', `{{ ${row.dataset.reach} }}`)
      event.dataTransfer.setData('application/x-flowfuse-path', row.dataset.reach)
      event.dataTransfer.effectAllowed = 'copy'
      this.panel.classList.add('is-mapping')
    })
    this.dock.addEventListener('dragend', () => this.panel.classList.remove('is-mapping'))
    this.panel.addEventListener('dragover', (event) => {
      if (event.target.closest('textarea, .cm-editor') && [...event.dataTransfer.types].includes('application/x-flowfuse-path')) event.preventDefault()
    })
    this.panel.addEventListener('drop', (event) => {
      const path = event.dataTransfer.getData('application/x-flowfuse-path')
      const control = event.target.closest('textarea')
      if (!path || !control) return
      event.preventDefault()
      this.form.insert(path, control)
    })
  }

  // -- pinning

  async togglePin() {
    const id = this.board.current
    const node = id && this.store.node(id)
    // While another node's bench is still on its way, what is shown is not this one's.
    if (!node || id !== this.#shown) return
    if (node.pinned !== undefined) this.actions.unpin(id)
    else if (!this.#gave()) return this.editPin()
    else {
      const text = await this.#output()
      if (text === null || id !== this.#shown) return
      this.#pinText(id, text)
    }
    this.show({ again: true })
  }

  async editPin(open = true) {
    const form = document.getElementById('pin-form')
    if (form && !open) form.hidden = true
    if (!form || !open) return
    // What is being written stays.
    if (!form.hidden) return document.getElementById('pin-text').focus()
    const text = this.#gave() ? await this.#output() : '{}'
    if (text === null || !form.isConnected || !form.hidden) return
    const box = this.#openPin(text)
    box.focus()
    box.setSelectionRange(0, 0)
  }

  #openPin(text) {
    document.getElementById('pin-form').hidden = false
    const box = document.getElementById('pin-text')
    box.value = text
    return box
  }

  #gave() { return this.panel.querySelector('[data-output] [data-view]') !== null }

  /** All of what the shown node gave, as text. */
  async #output() {
    const { node } = this.panel.querySelector('.bench').dataset
    await this.store.flush()
    return this.#shown === node ? this.#text('output') : null
  }

  /** A part of what is shown that the bench was brought without; null, and said, where it does not come. */
  async #text(part, query = {}) {
    const { node, path, run } = this.panel.querySelector('.bench').dataset
    const response = await ask(`/workflows/${this.store.id}/${part}?${new URLSearchParams({ node, path, run, ...query })}`)
    if (response?.ok) return response.text()
    toast((await response?.json().catch(() => null))?.detail ?? say('noServer'))
    return null
  }

  savePin() {
    if (!this.#pinText(this.#shown, document.getElementById('pin-text').value)) return
    document.getElementById('pin-form').hidden = true
    this.show({ again: true })
  }

  #pinText(id, text) {
    try {
      return this.actions.pin(id, parse(text))
    } catch (error) {
      const words = error instanceof RangeError ? error.message : say('notJson', error.message)
      const told = document.getElementById('pin-error')
      if (!told || document.getElementById('pin-form').hidden) toast(words)
      else {
        told.hidden = false
        told.querySelector('span').textContent = words
      }
      return false
    }
  }
}

const CONTROLS = 'input, textarea, select'

/** Where the caret is in a field: in which control (of which entry), and in what text. */
function caretIn(field) {
  const active = document.activeElement
  const live = active.closest('.cm-editor')
  const box = live ? live.nextElementSibling : active
  const row = box.closest('[data-row]')
  const selection = live ? liveCaret(live) : box.selectionStart
  return {
    path: field.dataset.field,
    key: row?.querySelector('[data-key]')?.value,
    index: [...(row ?? field).querySelectorAll(CONTROLS)].indexOf(box),
    place: row ? [...field.querySelectorAll('[data-row]')].indexOf(row) : -1,
    text: box.value,
    at: selection ?? null,
  }
}

/** The caret's place in an expression's editor, counted in its text. */
function liveCaret(live) {
  const { anchorNode, anchorOffset } = getSelection()
  if (!anchorNode || !live.contains(anchorNode)) return null
  const range = document.createRange()
  range.selectNodeContents(live.querySelector('.cm-content'))
  range.setEnd(anchorNode, anchorOffset)
  return range.toString().length
}

/** Put the caret back into the same control, at the place that the text before it has now. */
function putCaret(panel, { path, key, index, place, text, at }) {
  const field = panel.querySelector(`.col-form [data-field="${CSS.escape(path)}"]`)
  if (!field) return
  const rows = [...field.querySelectorAll('[data-row]')]
  const row = (key !== undefined && rows.find((each) => each.querySelector('[data-key]')?.value === key)) || rows[place]
  const control = (place < 0 ? field : row ?? field).querySelectorAll(CONTROLS)[index]
  if (!control) return
  const fold = control.closest('details')
  if (fold) fold.open = true
  if (at !== null && control.setSelectionRange) {
    const there = shifted(text, control.value, at)
    try { control.setSelectionRange(there, there) } catch { /* a number's field has no caret */ }
  }
  control.focus({ preventScroll: true })
}

/** Where a place in a text lies after the text was changed before or behind it. */
function shifted(before, after, at) {
  let same = 0
  while (same < before.length && before[same] === after[same]) same += 1
  return at <= same ? at : Math.max(same, at + after.length - before.length)
}
