// Runs on the canvas of the draft: started here, followed live, their data in the bench.
import { ask, send } from '../ask.js'
import { Live } from '../run/live.js'
import { States } from '../run/states.js'
import { mistakeIn } from '../run/json.js'
import { openTab } from '../bench.js'
import { toast } from './toasts.js'
import { say } from '../words.js'

const REFETCH_EVERY = 400
const TONES = ['is-ok', 'is-run', 'is-fail', 'is-wait', 'is-skip']

export class Runs {
  #live
  #states
  #timer
  #number = 0
  #bringing

  constructor(store, board, bench) {
    Object.assign(this, { store, board, bench })
    this.form = document.getElementById('panel-input')
    this.bar = document.getElementById('run-bar')
    this.idle = this.bar.innerHTML
    this.text = document.getElementById('input')
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.start() })
    this.text.addEventListener('focus', () => this.#bringInput())
    this.text.addEventListener('input', () => {
      delete this.text.dataset.from
      this.#tell('')
      const words = document.getElementById('run-sub')
      if (words) words.textContent = say('inputBelow')
    })
    this.bar.addEventListener('click', (event) => { if (event.target.closest('#run')) this.start() })
    document.addEventListener('click', (event) => this.#order(event))
    setInterval(() => this.#tick(), 1000)
  }

  get number() { return this.#number }

  /** Run the draft with the input that is written in the bench. */
  async start() {
    if (!await this.#bringInput()) return undefined
    const text = this.text.value.trim() || 'null'
    const mistake = mistakeIn(text)
    if (mistake) return this.#tell(mistake)
    const trigger = this.#trigger()
    const from = trigger ? `, "trigger": ${JSON.stringify(trigger)}` : ''
    return this.#begin(this.form.dataset.run, `{"input": ${text}${from}}`)
  }

  /** The chosen card, where it is a trigger; else what the bench says, where there are several. */
  #trigger() {
    const offered = document.getElementById('trigger')
    const { current } = this.board
    return offered && [...offered.options].some(({ value }) => value === current) ? current : offered?.value
  }

  /** Put the input of an earlier run into the field. */
  async takeInput(number) {
    const { from: before } = this.text.dataset
    this.text.dataset.from = number
    if (!await this.#bringInput()) {
      if (this.text.dataset.from !== number) return
      if (before === undefined) delete this.text.dataset.from
      else this.text.dataset.from = before
      return
    }
    this.#tell('')
    const with_ = document.getElementById('run-sub')
    if (with_) with_.textContent = say('inputOfRun', String(number))
  }

  /** A large input comes into its field when it is wanted. Whether it is there, and is still the one that is wanted. */
  #bringInput() {
    const { from } = this.text.dataset
    if (from === undefined) return true
    if (this.#bringing?.from !== from) this.#bringing = { from, there: this.#bring(from).finally(() => { this.#bringing = undefined }) }
    return this.#bringing.there
  }

  async #bring(from) {
    const response = await ask(`/workflows/${this.store.id}/input?from=${from}`)
    const text = response?.ok ? await response.text() : null
    // What was typed or chosen meanwhile stands.
    if (this.text.dataset.from !== from) return false
    if (text === null) {
      toast((await response?.json().catch(() => null))?.detail ?? say('noServer'))
      return false
    }
    delete this.text.dataset.from
    this.text.value = text
    return true
  }

  /** Run a part of the draft around a node: `alone`, `to` it, or `from` it, on the data of the shown run. */
  async part(node, kind) {
    if (kind === 'to' && !await this.#bringInput()) return undefined
    const text = this.text.value.trim() || 'null'
    const input = mistakeIn(text) ? 'null' : text
    return this.#begin(`/workflows/${this.store.id}/run-part`, `{"node": ${JSON.stringify(node)}, "kind": "${kind}", "input": ${input}, "path": ${JSON.stringify(this.bench.path)}${this.#number ? `, "run": ${this.#number}` : ''}}`)
  }

  async #begin(address, body) {
    const button = document.getElementById('run')
    if (button?.disabled) return
    if (button) button.disabled = true
    try {
      this.bench.form.flush()
      await this.store.flush()
      const answer = await send(address, body)
      if (!answer) return toast(say('noServer'))
      const content = await answer.json().catch(() => ({}))
      if (!answer.ok) return this.#refused(content, answer.status)
      const response = await ask(`/api/v1/executions/${content.id}`)
      const { execution } = await response.json()
      await this.follow(execution.number)
    } catch {
      toast(say('noServer'))
    } finally {
      if (button) button.disabled = false
    }
  }

  #refused(content, status) {
    const first = content.problems?.[0]
    if (first) {
      openTab('problems')
      const id = /^nodes\.([a-z0-9_]+)/.exec(first.path)?.[1]
      const isThere = id && this.board.boxes.has(id)
      if (isThere) this.board.select([id])
      return toast(say('toMend', content.problems.length, isThere ? `${this.board.titleOf(id)}: ${first.message}` : first.message))
    }
    if (content.field === 'trigger' || content.field === 'input') return this.#tell(content.detail)
    return toast(content.detail || content.title || say('answered', String(status)))
  }

  /** Show a run on the canvas, live while it goes on. */
  async follow(number) {
    this.#leave()
    this.#number = number
    this.bench.run = String(number)
    for (const each of this.#shown()) each.classList.remove(...TONES)
    const list = await this.#fetch()
    if (!list) return
    this.bench.show({ again: true })
    if (this.#states.over) return this.#ended()
    this.#live = new Live(list.dataset.execution, Number(list.dataset.seq), {
      onWire: () => {},
      onEvent: (event) => {
        this.#states.take(event)
        if (this.#states.over) {
          this.#live.end()
          this.#rest()
          this.#fetch().then(() => this.#ended())
        } else {
          this.#soon()
        }
      },
    })
  }

  /** Nothing that still comes of the run is drawn, and the next one counts from nought. */
  #leave() {
    this.#live?.end()
    this.#live = undefined
    this.#rest()
  }

  #rest() {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Take the run off the canvas. */
  clear() {
    this.#leave()
    this.#number = 0
    this.bench.run = ''
    this.bar.className = 'runbar runbar-idle'
    this.bar.innerHTML = this.idle
    document.getElementById('states')?.remove()
    for (const each of this.#shown()) {
      each.classList.remove(...TONES)
      each.querySelector('[data-cap]')?.replaceChildren()
      const badge = each.querySelector('[data-badge]')
      if (badge) badge.hidden = true
    }
    for (const edge of document.querySelectorAll('.edge')) edge.classList.remove('is-live', 'is-idle')
  }

  /** Everything that shows a node's state. */
  #shown() { return [...this.board.elements, ...document.querySelectorAll('.orow')] }

  #soon() {
    this.#timer ??= setTimeout(() => { this.#timer = undefined; this.#fetch() }, REFETCH_EVERY)
  }

  async #fetch() {
    const number = this.#number
    const response = await ask(`/workflows/${this.store.id}/progress/${number}`)
    if (!response?.ok || number !== this.#number) return null
    const { states, bar, timeline, failed } = await response.json()
    this.failed = failed
    document.getElementById('states')?.remove()
    document.querySelector('.work').insertAdjacentHTML('beforeend', states)
    const list = document.getElementById('states')
    if (!this.#live) this.#states = new States((id) => this.board.element(id))
    this.#states.read(list)
    this.bar.className = 'runbar'
    this.bar.innerHTML = bar
    document.getElementById('panel-timeline').innerHTML = timeline
    return list
  }

  /** Where nobody has chosen a node, the one that failed the run is shown. */
  #ended() {
    if (!this.board.selected.size && this.board.boxes.has(this.failed)) this.board.select([this.failed])
    this.bench.show({ again: true })
    this.board.dispatchEvent(new Event('ran'))
  }

  /** [data-post]: pause, go on, stop. */
  async #order(event) {
    const button = event.target.closest('[data-post]')
    if (!button) return
    button.disabled = true
    const answer = await send(button.dataset.post, '{}')
    if (!answer) toast(say('noServer'))
    else if (!answer.ok) toast((await answer.json().catch(() => ({}))).detail ?? say('answered', String(answer.status)))
    await this.#fetch()
  }

  #tick() {
    const clock = this.bar.querySelector('[data-since]')
    if (!clock) return
    const since = Number(clock.dataset.since) / 1000
    const skew = (clock.dataset.skew ??= String(Number(clock.dataset.now) / 1000 - Date.now()))
    const seconds = Math.max(0, Math.floor((Date.now() + Number(skew) - since) / 1000))
    clock.textContent = `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
  }

  #tell(words) {
    const error = document.getElementById('input-error')
    error.hidden = !words
    error.querySelector('span').textContent = words
    this.text.setAttribute('aria-invalid', Boolean(words))
    if (!words) return
    openTab('input')
    this.text.focus()
  }
}
