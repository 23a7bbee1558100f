// What each node did so far: counts, kept here, shown as a mark and a caption on its card and in the outline.
import { say } from '../words.js'

export const OVER = ['completed', 'failed', 'cancelled']
const COUNTS = ['done', 'failed', 'skipped', 'stopped', 'running', 'waiting', 'rounds']
const ICONS = { ok: 'check', run: 'play', fail: 'x', wait: 'wait', skip: 'skip' }
const TONES = ['is-ok', 'is-run', 'is-fail', 'is-wait', 'is-skip']

export class States {
  #nodes = new Map()
  #dirty = new Set()
  #recent = [] // events since the server's counts were written
  #seq = 0
  over = false

  /** `cardOf` gives a node's card, also where that is not in the document yet. */
  constructor(cardOf = (id) => document.querySelector(`.node[data-node="${id}"], .loop[data-node="${id}"]`)) {
    this.cardOf = cardOf
  }

  /** Take the counts that the server wrote (#states), and put on top what has happened since. */
  read(list) {
    const seq = Number(list.dataset.seq)
    this.#seq = Math.max(this.#seq, seq)
    this.over ||= OVER.includes(list.dataset.state) // an end is for good, also where the counts are older
    for (const { dataset } of list.children) {
      const node = { took: Number(dataset.took), attempt: 0 }
      for (const name of COUNTS) node[name] = Number(dataset[name])
      this.#nodes.set(dataset.node, node)
    }
    this.#recent = this.#recent.filter((event) => event.after > seq)
    for (const event of this.#recent) this.#apply(event)
    if (this.over) this.#stop()
    for (const id of this.#nodes.keys()) this.#show(id)
  }

  /** Count one event in. What it leaves out (the nodes inside of many rounds) comes with the next refetch. */
  take(event) {
    this.#seq = event.seq || this.#seq
    if (OVER.includes(event.state)) return this.#end()
    const kept = { ...event, after: event.seq || this.#seq + 0.5 }
    if (this.#apply(kept)) {
      this.#recent.push(kept)
      this.#mark(event.node)
    }
    return undefined
  }

  #end() {
    this.over = true
    this.#stop()
    for (const id of this.#nodes.keys()) this.#mark(id)
  }

  /** With its run a node's work and waiting end, too. */
  #stop() {
    for (const node of this.#nodes.values()) {
      node.stopped += node.running + node.waiting
      node.running = node.waiting = 0
    }
  }

  #apply(event) {
    const node = this.#nodes.get(event.node)
    const change = node && CHANGES[event.type]
    if (change) change(node, event)
    return Boolean(change)
  }

  #mark(id) {
    if (!this.#dirty.size) requestAnimationFrame(() => {
      for (const dirty of this.#dirty) this.#show(dirty)
      this.#dirty.clear()
    })
    this.#dirty.add(id)
  }

  #show(id) {
    const node = this.#nodes.get(id)
    const tone = toneOf(node)
    const words = wordsOf(node)
    for (const element of [this.cardOf(id), document.querySelector(`.orow[data-node="${id}"]`)]) {
      if (!element) continue
      element.classList.remove(...TONES)
      if (tone) element.classList.add(`is-${tone}`)
      caption(element.querySelector('[data-cap]'), tone, words)
      const badge = element.querySelector('[data-badge]')
      if (badge) badge.hidden = !node.failed
    }
    for (const edge of document.querySelectorAll(`.edge[data-to="${id}"]`)) {
      edge.classList.toggle('is-live', node.running > 0)
      edge.classList.toggle('is-idle', !node.running && !node.done && !node.failed && !node.waiting && !node.stopped)
    }
  }
}

const ended = (name) => (node, event) => {
  node[name] += 1
  node.running = Math.max(0, node.running - 1)
  node.waiting = Math.max(0, node.waiting - 1)
  node.attempt = 0
  if (event.ms) node.took = event.ms * 1000
}

const begun = (node, event) => {
  node.running = Math.max(1, node.running)
  node.attempt = event.attempt ?? node.attempt
}

const CHANGES = {
  started: begun,
  attempt: begun,
  loop: begun,
  retry: begun,
  waiting: (node) => { node.waiting += 1; node.running = Math.max(0, node.running - 1) },
  round: (node) => { node.rounds += 1 },
  rounds: (node, event) => { node.rounds += event.count },
  interrupted: (node) => { node.running = Math.max(0, node.running - 1) },
  node_done: ended('done'),
  node_failed: ended('failed'),
  node_skipped: ended('skipped'),
}

function toneOf(node) {
  if (node.running) return 'run'
  if (node.waiting) return 'wait'
  if (node.failed) return 'fail'
  if (node.done) return 'ok'
  return node.skipped || node.stopped ? 'skip' : ''
}

function wordsOf(node) {
  const many = node.done + node.failed + node.stopped + node.running + node.waiting > 1
  const words = []
  if (node.rounds) words.push(say('rounds', node.rounds))
  if (node.waiting) words.push(say('waiting'))
  if (node.running) words.push(node.attempt > 1 ? say('attempt', node.attempt) : many ? say('doneAtWork', node.done) : say('atWork'))
  else if (many && (node.done || !node.stopped)) words.push(say('doneOf', node.done))
  else if (node.done) words.push(took(node.took))
  if (node.failed) words.push(many ? say('failedOf', node.failed) : say('failed'))
  if (node.stopped) words.push(node.stopped > 1 || node.done + node.failed ? say('stoppedOf', node.stopped) : say('stopped'))
  if (!words.length && node.skipped) words.push(say('skipped'))
  return words.filter(Boolean).join(' · ')
}

function took(micros) {
  if (micros < 50) return say('done')
  if (micros < 9_950) return `${(micros / 1e3).toFixed(1)} ms`
  if (micros < 999_500) return `${Math.round(micros / 1e3)} ms`
  return micros < 9_950_000 ? `${(micros / 1e6).toFixed(1)} s` : `${Math.round(micros / 1e6)} s`
}

function caption(element, tone, words) {
  if (!element) return
  element.replaceChildren()
  if (!tone) return
  const sign = document.querySelector('.zoom use').cloneNode()
  sign.setAttribute('href', sign.getAttribute('href').replace(/#.*/, `#i-${ICONS[tone]}`))
  const icon = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  icon.setAttribute('class', 'i')
  icon.setAttribute('viewBox', '0 0 24 24')
  icon.setAttribute('aria-hidden', 'true')
  icon.append(sign)
  const text = document.createElement('span')
  text.textContent = words
  element.append(icon, text)
}
