// State Store: the draft as the server has it, what this tab has changed since, and the way back. Every change is
// applied here at once, kept in IndexedDB, and sent; the server's answer puts all in one order. Undo sends the
// inverse as an ordinary change, so that it never takes back what somebody else did.
import { apply, at, nodeOf, Refusal } from './document.js'
import { forget, keep, loadStacks, pending, saveStacks } from './keep.js'
import { say } from '../words.js'

const TOGETHER = 1500 // changes of one field within this time are one step of undo
const MOST = 300 // operations sent at once
const FOR_WHAT_IS_IN_IT = [400, 413, 422] // a batch refused for something in it, not for who sends it or where to
const PAUSES = [300, 1000, 2000, 5000]

export class Store extends EventTarget {
  #server // the document as the server had it at `seq`
  #pending = []
  #undo = []
  #redo = []
  #mine = new Map() // field → the number at which this tab last changed it
  #sending
  #failures = 0
  #room = MOST // operations sent at once; fewer while one that the server does not take is looked for
  #behind = false
  #timer

  /** `whose` says for whom, and in which workspace, edits are kept: they are not sent as anybody else's. */
  constructor(id, seq, document, whose) {
    super()
    Object.assign(this, { id, seq, doc: document, whose, kept: `${whose}/${id}` })
    this.#server = document
    this.tab = sessionStorage.getItem('tab') ?? token()
    sessionStorage.setItem('tab', this.tab)
  }

  /** Take up what an earlier life of this page left behind. */
  async resume() {
    const stacks = await loadStacks(this.#stackKey)
    if (stacks) [this.#undo, this.#redo] = [stacks.undo, stacks.redo]
    this.#pending = [...await pending(this.kept), ...this.#pending]
    if (this.#pending.length) {
      this.#rebuild()
      this.#tell('change', { why: 'resume' })
      this.flush()
    }
    addEventListener('online', () => this.flush())
    addEventListener('pagehide', () => { if (this.#pending.length) this.#post(this.#pending.slice(0, MOST), true).catch(() => {}) })
  }

  node(id) { return nodeOf(this.doc, id) }
  /** Set for people who may look and not change. */
  readonly = false

  /** Set once the outline is shown: it comes with every change then. */
  wantsOutline = false
  #asked(query) { return new URLSearchParams({ ...query, whose: this.whose, ...(this.wantsOutline && { outline: '' }) }) }

  /** Whether a change of this field, or of a part of it, is still on its way to the server. */
  isPending(node, path) { return this.#pending.some((each) => (each.node ?? '') === node && `${each.path}.`.startsWith(`${path}.`)) }

  get canUndo() { return this.#undo.length > 0 }
  get canRedo() { return this.#redo.length > 0 }
  get unsent() { return this.#pending.length }

  /** Change the draft. `label` says it in words; changes with one `merge` key in a row are one step of undo. */
  change(label, operations, { merge = '', select } = {}) {
    const done = this.#apply(operations)
    if (!done) return false
    const last = this.#undo.at(-1)
    const now = Date.now()
    if (merge && last?.merge === merge && now - last.at < TOGETHER) {
      // One field: what undid the first change undoes them all.
      last.redo = done.operations
      last.at = now
    } else {
      this.#undo.push({ label, merge, at: now, undo: done.inverse, redo: done.operations })
    }
    this.#redo = []
    this.#saveStacks()
    this.#tell('change', { why: 'edit', operations: done.operations, select })
    return true
  }

  undo() { this.#step(this.#undo, this.#redo, 'undo') }
  redo() { this.#step(this.#redo, this.#undo, 'redo') }

  #step(from, to, direction) {
    const entry = from.pop()
    if (!entry) return
    const operations = entry[direction]
    const stale = operations.some(({ stale }) => stale)
    const done = stale ? null : this.#apply(operations)
    this.#saveStacks()
    if (!done) return this.#tell('note', { text: say('stale', entry.label) })
    to.push({ ...entry, merge: '', [direction === 'undo' ? 'redo' : 'undo']: done.inverse })
    this.#saveStacks()
    this.#tell('change', { why: direction, operations: done.operations, label: entry.label })
  }

  #apply(operations) {
    if (this.readonly) {
      this.#tell('note', { text: say('readonly') })
      return null
    }
    let { doc } = this
    const inverse = []
    try {
      for (const operation of operations) {
        const [next, back] = apply(doc, operation)
        doc = next
        inverse.unshift(...back)
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#tell('note', { text: say('cannotBe', error.message) })
      return null
    }
    if (!inverse.length) return null
    this.doc = doc
    const made = operations.map((operation, index) => ({ ...bare(operation), id: `${token()}-${index}`, base: operation.base ?? this.seq, order: Date.now() * 1000 + index }))
    this.#pending.push(...made)
    keep(this.kept, made)
    this.#tell('saving', { unsent: this.#pending.length })
    queueMicrotask(() => this.flush())
    return { operations: operations.map(bare), inverse }
  }

  /** Send what is pending, and what is added meanwhile; done when all is there, or the server is away. */
  flush() {
    clearTimeout(this.#timer)
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = undefined
      if (this.#behind) this.pull()
    })
    return this.#sending
  }

  async #drain() {
    while (this.#pending.length) if (!await this.#send(this.#pending.slice(0, this.#room))) return
  }

  /** Whether there is more to send: the batch is off the list, or is to be sent in parts. */
  async #send(batch) {
    const known = this.seq
    let response
    try {
      response = await this.#post(batch)
    } catch {
      return this.#retry()
    }
    if (response.status === 401) {
      this.#tell('signed-out', {})
      return false
    }
    if (response.status >= 500 || response.status === 429) return this.#retry()
    const answer = await response.json().catch(() => null)
    if (FOR_WHAT_IS_IN_IT.includes(response.status)) return this.#sift(batch, answer ?? {})
    if (!answer) return this.#retry()
    this.#failures = 0
    if (!response.ok) {
      this.#tell('kept', { unsent: this.#pending.length })
      this.#tell('note', { text: answer.detail ?? say('refusedWith', String(response.status)) })
      await this.pull(true)
      return false
    }
    this.#room = Math.min(MOST, this.#room * 2)
    this.#drop(batch)
    if (answer.delta.seq < known) return this.#beginAnew()
    const refused = new Map(answer.refused.map((each) => [each.id, each]))
    for (const operation of batch) if (!refused.has(operation.id)) this.#mine.set(keyOf(operation), answer.seq)
    this.take(answer.delta, batch)
    for (const operation of batch) if (refused.has(operation.id)) this.#refuse(operation, refused.get(operation.id))
    if (!this.#pending.length) this.#tell('saved', { at: new Date() })
    return true
  }

  /** Drop the operation that the server names; where it names none, look for it in halves. */
  async #sift(batch, { field, detail }) {
    const named = batch[/^operations\[(\d+)\]/.exec(field ?? '')?.[1]]
    if (!named && batch.length > 1) {
      this.#room = Math.ceil(batch.length / 2)
      return true
    }
    const operation = named ?? batch[0]
    this.#drop([operation])
    this.#tell('invalid', { operation, detail })
    await this.pull(true)
    return true
  }

  #drop(operations) {
    const ids = new Set(operations.map(({ id }) => id))
    this.#pending = this.#pending.filter(({ id }) => !ids.has(id))
    forget([...ids])
  }

  #post(batch, keepalive = false) {
    const operations = batch.map(({ id, kind, node, path, value, base }) => ({ id, kind, ...(node && { node }), ...(path && { path }), ...(value !== undefined && { value }), base: this.#baseOf({ node, path }, base) }))
    return fetch(`/api/v1/workflows/${this.id}/operations?${this.#asked({ parts: this.seq })}`, {
      method: 'POST', keepalive, headers: { 'Content-Type': 'application/json', Accept: 'application/json' }, body: JSON.stringify({ operations }),
    })
  }

  /** What this tab changed itself is no contradiction to what it changes next. */
  #baseOf(operation, base) {
    const key = keyOf(operation)
    let newest = base ?? this.seq
    for (const [other, seq] of this.#mine) if (other === key || other.startsWith(`${key}.`) || key.startsWith(`${other}.`)) newest = Math.max(newest, seq)
    return newest
  }

  #retry() {
    this.#failures += 1
    this.#tell('offline', { unsent: this.#pending.length })
    this.#timer = setTimeout(() => this.flush(), PAUSES[Math.min(this.#failures, PAUSES.length) - 1] * (0.5 + Math.random()))
    return false
  }

  #refuse(operation, refusal) {
    if (operation.kind === 'set' && refusal.by === 'somebody else, since') this.#tell('conflict', { operation, theirs: refusal.value })
    else this.#tell('invalid', { operation, detail: refusal.by })
  }

  /** Fetch what others have changed; whether the server answered. */
  async pull(force = false) {
    // The answer to what is being sent may hold it already; if not, it is fetched behind it.
    this.#behind = Boolean(this.#sending) && !force
    if (this.#behind) return true
    const known = this.seq
    try {
      const response = await fetch(`/workflows/${this.id}/delta?${this.#asked({ after: force ? 0 : known })}`, { headers: { Accept: 'application/json' } })
      const delta = response.ok ? await response.json() : null
      if (delta && delta.seq < known) this.#beginAnew()
      else if (delta) this.take(delta, [])
      else if (response.status === 404) this.#tell('gone', {})
      return response.status < 500
    } catch {
      // The live channel asks again when the server is back.
      return false
    }
  }

  /** The server knows less than it has said before: a backup was brought back. What is drawn here is of another past. */
  #beginAnew() {
    saveStacks(this.#stackKey, { undo: [], redo: [] })
    location.reload()
    return false
  }

  /** Put the server's state under this tab's own changes. `own` are those that it has just acknowledged. */
  take(delta, own) {
    if (delta.seq < this.seq) return
    const before = this.doc
    const known = new Map(this.#server.nodes.map((node) => [node.id, node]))
    this.#server = {
      own: delta.own,
      nodes: delta.order.map((id) => delta.nodes[id] ?? known.get(id)).filter(Boolean),
      edges: delta.edges,
    }
    this.seq = delta.seq
    this.#rebuild()
    const mine = new Set(own.map(keyOf))
    const foreign = this.#foreign(before, mine, Object.keys(delta.nodes))
    this.#tell('change', { why: 'server', delta, foreign })
  }

  /** Fields that have changed without this tab's doing; steps of undo over them are taken out of use. */
  #foreign(before, mine, ids) {
    const changed = (node, path) => JSON.stringify(at(nodeOf(before, node), path)) !== JSON.stringify(at(nodeOf(this.doc, node), path))
    for (const entry of this.#undo) {
      for (const step of entry.undo) {
        if ((step.kind === 'set' || step.kind === 'unset') && step.node && ids.includes(step.node) && nodeOf(before, step.node) && changed(step.node, step.path)) step.stale = true
      }
    }
    const own = new Set([...mine].map((key) => key.split('.')[0]))
    const differs = (one, other) => JSON.stringify(one) !== JSON.stringify(other)
    const nodes = ids.filter((id) => !own.has(id) && nodeOf(before, id) && differs(nodeOf(before, id), nodeOf(this.doc, id)))
    // '' stands for the workflow's own fields.
    return differs(before.own, this.doc.own) && !own.has('') ? ['', ...nodes] : nodes
  }

  #rebuild() {
    let doc = this.#server
    for (const operation of this.#pending) {
      try {
        [doc] = apply(doc, operation)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
      }
    }
    this.doc = doc
  }

  get #stackKey() { return `${this.kept} ${this.tab}` }
  #saveStacks() { saveStacks(this.#stackKey, { undo: this.#undo, redo: this.#redo }) }
  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })) }
}

const bare = ({ kind, node, path, value }) => ({ kind, ...(node !== undefined && { node }), ...(path !== undefined && { path }), ...(value !== undefined && { value }) })
const keyOf = ({ node, path }) => `${node ?? ''}.${path ?? ''}`

/** Random text; randomUUID is missing where the page came without TLS from another machine. */
export function token() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(36).padStart(2, '0')).join('')
}
