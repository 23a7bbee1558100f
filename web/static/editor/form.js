// The bench's form: reads each control into the document as it is typed, and shows beside it what it comes to.
import { post } from '../ask.js'
import { numberOf, parse } from '../exact.js'
import { at } from './document.js'
import { called, say } from '../words.js'

const QUIET = 300 // after the last key
const LONGEST = 700 // a change waits no longer than this, however fast one types
const PREVIEW = 60

export class Form {
  #timers = new Map()
  #previews = new Map()
  #unread = new Map() // fields whose text is nowhere but in them, for it cannot be kept: why not
  #live

  /** `reach` gives what expressions of the shown node may name, `light` marks a node on the canvas, `escape` leaves. */
  constructor(store, actions, { reach, light, escape }) {
    Object.assign(this, { store, actions, reach, light, escape })
    const panel = document.getElementById('panel-node')
    panel.addEventListener('input', (event) => this.#typed(event.target))
    panel.addEventListener('change', (event) => this.#typed(event.target, true))
    panel.addEventListener('focusout', (event) => this.#left(event.target))
    panel.addEventListener('focusin', (event) => this.#entered(event.target))
    panel.addEventListener('click', (event) => this.#rows(event))
    addEventListener('pagehide', () => this.flush())
    document.addEventListener('visibilitychange', () => { if (document.hidden) this.flush() })
  }

  /** A form has been put in: let its texts grow, show what they come to. */
  shown(context) {
    this.context = context
    if (this.store.readonly) for (const control of document.querySelectorAll('#panel-node .col-form :is(input, textarea, select, button)')) control.disabled = true
    document.dispatchEvent(new Event('form-shown'))
    for (const text of this.#form()?.querySelectorAll('textarea.exf') ?? []) grow(text)
    for (const text of this.#form()?.querySelectorAll('[data-expression]') ?? []) if (text.value.includes('{{')) this.#preview(text)
  }

  /** Whether somebody is typing in this field: the server does not have all of it yet. */
  isTyping(node, path) {
    const key = `${node}.${path}`
    return this.#timers.has(key) || this.#unread.has(key) || this.store.isPending(node, path)
  }

  /** Send what is still waiting for the next key. */
  flush() {
    for (const [key, { timer, run }] of this.#timers) {
      clearTimeout(timer)
      this.#timers.delete(key)
      run()
    }
  }

  /** The problems of the shown node beside their fields. */
  mark(problems) {
    const form = this.#form()
    if (!form) return
    const prefix = form.dataset.node ? `nodes.${form.dataset.node}.` : ''
    const own = problems.filter(({ path }) => path.startsWith(prefix)).map((problem) => ({ ...problem, path: problem.path.slice(prefix.length) }))
    for (const field of document.querySelectorAll('#panel-node [data-field]')) {
      const path = field.dataset.field
      const found = own.find((problem) => problem.path === path || problem.path.startsWith(`${path}.`) || problem.path.startsWith(`${path}[`))
      this.#tell(field, this.#unread.get(`${form.dataset.node}.${path}`) ?? found?.message ?? '')
    }
  }

  /** The server did not take what a field says: it is said there, and what was typed stays. Whether it is shown. */
  refuse({ node = '', path = '' }, words) {
    const field = document.querySelector(`#panel-node .col-form [data-field="${CSS.escape(path)}"]`)
    if (!field || this.#form()?.dataset.node !== node) return false
    this.#unread.set(`${node}.${path}`, words)
    this.#tell(field, words)
    return true
  }

  #form() { return document.getElementById('form') }

  #typed(control, now = false) {
    const field = control.closest('[data-as][data-path]')
    if (!field || !control.closest('.col-form')) return
    if (control.matches('textarea.exf')) grow(control)
    if (control.matches('[data-expression]')) this.#preview(control)
    const node = this.#form().dataset.node
    const key = `${node}.${field.dataset.path}`
    if (this.#unread.delete(key)) this.#tell(field.closest('[data-field]'), '')
    const waiting = this.#timers.get(key)
    if (waiting) clearTimeout(waiting.timer)
    const since = waiting?.since ?? performance.now()
    // What is typed changes what was there at the first key; who changes that meanwhile is asked about.
    const { base, before } = waiting ?? { base: this.store.seq, before: at(this.#owner(node) ?? {}, field.dataset.path) }
    const run = () => { this.#timers.delete(key); this.#save(node, field, base, before) }
    const wait = now || control.matches('select, [type=checkbox]') ? 0 : Math.max(0, Math.min(QUIET, since + LONGEST - performance.now()))
    this.#timers.set(key, { since, base, before, run, timer: setTimeout(run, wait) })
  }

  /** The node that a form is about; the workflow itself without one. */
  #owner(node) { return node ? this.store.node(node) : this.store.doc.own }

  #save(node, field, base, before) {
    const own = this.#owner(node)
    if (!own) return
    const { path } = field.dataset
    const read = readField(field)
    const refuse = (words) => {
      this.#unread.set(`${node}.${path}`, words)
      this.#tell(field.closest('[data-field]'), words)
    }
    if (read.error) return refuse(read.error)
    if (JSON.stringify(at(own, path)) === JSON.stringify(read.value)) return
    const whole = read.value === undefined ? { kind: 'unset', node, path } : { kind: 'set', node, path, value: read.value }
    const operations = (field.dataset.as === 'key_value' && byKey(node, path, before, read.value)) || [whole]
    // One key beside a number that the browser has rounded is kept by itself; all of them would change it.
    if (operations[0] === whole && !isJson(JSON.stringify(read.value ?? null))) return refuse(say('roundedBeside'))
    const label = field.closest('[data-field]')?.querySelector('.f-l')?.firstChild?.textContent ?? path
    this.actions.change(say('set', label), operations.map((each) => ({ ...each, base })), { merge: operations.map((each) => `${node}.${each.path}`).join(' ') })
  }

  #left(control) {
    const text = control.closest?.('textarea[data-as="expression"], textarea[data-expression]')
    if (!text || !text.closest('#form')) return
    const wrapped = asExpression(text)
    if (wrapped === text.value) return
    text.value = wrapped
    this.#typed(text, true)
  }

  async #entered(control) {
    if (!control.closest?.('#form')) return
    this.lastField = control
    if (!control.matches('textarea[data-expression]')) return
    // Without a connection it may not be there yet; the plain box does as well.
    const loaded = await import('./expression.js').catch(() => null)
    if (!loaded || document.activeElement !== control) return
    const view = loaded.mount(control, { reach: this.reach, light: this.light, escape: this.escape, leave: (box) => { grow(box); this.#left(box) } })
    this.#live = { view, dom: view.dom }
    this.lastField = view.contentDOM
  }

  /** Put a value's path into the field that was last in use, or into the one that it is dropped on. */
  insert(path, control = this.lastField) {
    if (!control?.isConnected) return false
    if (this.#live?.dom.contains(control)) return this.#insertLive(path)
    if (!control.matches('textarea, input')) return false
    const expression = `{{ ${path} }}`
    const { selectionStart: start, selectionEnd: end, value } = control
    const inside = isInside(value, start)
    const text = inside ? path : expression
    control.value = value.trim() === '' ? expression : value.slice(0, start) + text + value.slice(end)
    const caret = value.trim() === '' ? expression.length : start + text.length
    control.focus()
    control.setSelectionRange?.(caret, caret)
    control.dispatchEvent(new Event('input', { bubbles: true }))
    return true
  }

  #insertLive(path) {
    const { view } = this.#live
    const { from, to } = view.state.selection.main
    const text = view.state.doc.toString()
    const insert = isInside(text, from) ? path : `{{ ${path} }}`
    const [start, end] = text.trim() ? [from, to] : [0, text.length]
    view.dispatch({ changes: { from: start, to: end, insert }, selection: { anchor: start + insert.length } })
    view.focus()
    return true
  }

  #rows(event) {
    const rows = event.target.closest('.rows')
    if (!rows) return
    if (event.target.closest('[data-row-add]')) {
      const made = rows.querySelector('template').content.firstElementChild.cloneNode(true)
      rows.querySelector('template').before(made)
      made.querySelector('input, textarea, select')?.focus()
    } else if (event.target.closest('[data-row-remove]')) {
      event.target.closest('[data-row]').remove()
    } else {
      return
    }
    this.#typed(rows, true)
  }

  #preview(control) {
    const field = control.closest('[data-as][data-path]')
    const form = this.#form()
    clearTimeout(this.#previews.get(control))
    this.#previews.set(control, setTimeout(async () => {
      const line = control.closest('.cell, [data-row], .f-c').querySelector(':scope > .prev')
      const name = (field?.dataset.path ?? '').split('.')[1]
      if (!name || !line || !control.value.includes('{{')) {
        if (line) line.hidden = true
        return
      }
      const { context } = this
      const asked = control.value
      const body = { node: form.dataset.node, field: name, value: asked, path: context?.path ?? '', ...(context?.run && { run: Number(context.run) }) }
      const response = await post(`/workflows/${this.store.id}/preview`, body)
      if (!response?.ok || control.value !== asked || !control.isConnected) return
      const { text, error, missing, kind } = await response.json()
      line.hidden = false
      line.classList.toggle('is-missing', missing)
      line.classList.toggle('is-wrong', Boolean(error) && !missing)
      line.replaceChildren(...(error ? [span(error)] : [span(text), span(kind ? called('kind', kind) : '', 'unit')]))
    }, PREVIEW))
  }

  #tell(field, words) {
    const error = field?.querySelector(':scope > .f-c > .ferr')
    if (!error) return
    error.hidden = !words
    error.querySelector('span').textContent = words
    field.classList.toggle('is-bad', Boolean(words))
    const control = field.querySelector('[data-path]')
    control?.setAttribute('aria-invalid', Boolean(words))
  }
}

/** A change of one entry of an object as that entry's own, so that two people may each change one; else nothing. */
function byKey(node, path, before, after) {
  if (!isObject(before) || !isObject(after)) return null
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
  if (keys.length !== 1 || !/^\w+$/.test(keys[0])) return null
  const [key] = keys
  return [key in after ? { kind: 'set', node, path: `${path}.${key}`, value: after[key] } : { kind: 'unset', node, path: `${path}.${key}` }]
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)

function span(text, name = '') {
  const made = document.createElement('span')
  made.textContent = text
  made.className = name
  return made
}

/** A text box as high as its text. */
export function grow(text) {
  text.rows = Math.min(12, Math.max(1, text.value.split('\n').length))
}

const isInside = (value, caret) => value.lastIndexOf('{{', caret) > value.lastIndexOf('}}', caret - 1)

/** `=total` is short for an expression, and a field that is one by nature needs no braces to be typed. */
function asExpression(text) {
  const value = text.value.trim()
  if (value.startsWith('=') && !value.includes('{{')) return `{{ ${value.slice(1).trim()} }}`
  if (text.dataset.as !== 'expression' || !value || value.includes('{{') || isJson(value)) return text.value
  return `{{ ${value} }}`
}

function isRoughJson(value) {
  try {
    JSON.parse(value)
    return true
  } catch {
    return false
  }
}

/** Whether it is JSON that a browser can hold. */
function isJson(value) {
  try {
    parse(value)
    return true
  } catch {
    return false
  }
}

/** What a field's controls say: {value} (undefined: the field is left out) or {error}. */
export function readField(field) {
  try {
    return valueOf(field)
  } catch (error) {
    if (error instanceof RangeError) return { error: error.message }
    throw error
  }
}

function valueOf(field) {
  const { as } = field.dataset
  if (as === 'list') return { value: rowsOf(field).map((row) => entryOf(row)) }
  if (as === 'key_value') return keyed(field)
  return READ[as](field.type === 'checkbox' ? field.checked : field.value, field)
}

function keyed(field) {
  const value = {}
  for (const row of rowsOf(field)) {
    const key = row.querySelector('[data-key]').value.trim()
    const entry = entryOf(row)
    if (!key && (entry === '' || entry === undefined)) continue
    if (!key) return { error: say('entryNeedsName') }
    if (key in value) return { error: say('twice', key) }
    value[key] = entry
  }
  return { value: Object.keys(value).length || field.dataset.given ? value : undefined }
}

const rowsOf = (field) => [...field.querySelectorAll(':scope > [data-row]')]

function entryOf(row) {
  const cells = row.querySelectorAll('[data-cell]')
  if (!cells.length) return readEntry(row.querySelector('[data-value]'))
  const entry = {}
  for (const cell of cells) {
    const control = cell.querySelector('[data-as]')
    const value = readEntry(control)
    if (value !== undefined) entry[cell.dataset.cell] = value
  }
  return entry
}

/** Of an entry that nobody has touched, “007” or “true” is the text that it was. */
function readEntry(control) {
  const { as } = control.dataset
  const untouched = control.value === control.defaultValue
  if (untouched && 'text' in control.dataset) return control.value
  // As the document in the browser has it, so that it is seen to be unchanged.
  if (untouched && as === 'loose') return isRoughJson(control.value) ? JSON.parse(control.value) : control.value
  const read = READ[as](control.value, control)
  // What cannot be read is the server's to judge, as the text that it is.
  return read.error ? control.value : read.value
}

const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/

function numeric(text) {
  const plain = text.trim()
  if (!plain) return { value: undefined }
  if (!NUMBER.test(plain)) return { value: plain }
  try {
    return { value: numberOf(plain) }
  } catch (error) {
    return { error: error.message }
  }
}

/** What is typed as JSON, else the text; a number that cannot be held stays text. Throws RangeError for one inside. */
function literal(text) {
  if (!isRoughJson(text)) return text
  return NUMBER.test(text.trim()) && !isJson(text) ? text : parse(text)
}

const READ = {
  tags(text) {
    const tags = [...new Set(text.split(',').map((tag) => tag.trim()).filter(Boolean))]
    return { value: tags.length ? tags : undefined }
  },
  text: (text) => ({ value: text === '' ? undefined : text }),
  choice: (text, control) => ({ value: text === '' || text === control.dataset.default ? undefined : text }),
  switch: (on) => ({ value: on ? true : undefined }),
  number: numeric,
  duration: numeric,
  expression: (text) => ({ value: text.trim() === '' ? undefined : literal(text) }),
  loose: (text) => ({ value: NUMBER.test(text.trim()) || /^(true|false|null|[[{].*[\]}])$/s.test(text.trim()) ? literal(text) : text }),
  json(text) {
    const plain = text.trim()
    if (!plain) return { value: undefined }
    if (isJson(plain)) return { value: parse(plain) }
    if (!/^[[{"]/.test(plain) || plain.startsWith('{{')) return { value: text }
    try {
      return { value: parse(plain) }
    } catch (error) {
      return { error: error instanceof RangeError ? error.message : say('notJson', error.message) }
    }
  },
}
