// Who else is here, and what they change while they are. A channel of its own for each workflow; after a break it
// asks for what it has missed, and while it cannot be had, it asks again and again.
import { say } from '../words.js'

const FIRST_PAUSE = 300
const LONGEST_PAUSE = 5000
const FLASH = 1600
const FAILURES_BEFORE_POLLING = 3
const POLL_EVERY = 2000

export class Presence {
  #socket
  #failures = 0
  #timer

  constructor(store, board, bench) {
    Object.assign(this, { store, board, bench })
    this.faces = document.getElementById('faces')
    board.addEventListener('select', () => this.#say())
    document.getElementById('panel-node').addEventListener('focusin', (event) => this.#say(event.target.closest('[data-field]')?.dataset.field))
    this.#connect()
  }

  /** Mark nodes that somebody else has just changed. */
  flash(ids) {
    for (const id of ids) {
      const element = this.board.element(id)
      element?.classList.add('is-changed')
      setTimeout(() => element?.classList.remove('is-changed'), FLASH)
    }
  }

  #connect() {
    const address = new URL(`/live/workflows/${this.store.id}`, location)
    address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:'
    address.search = new URLSearchParams({ tab: this.store.tab, whose: this.store.whose })
    const socket = this.#socket = new WebSocket(address)
    socket.onopen = () => {
      this.#failures = 0
      this.#showWire('')
      this.#say()
      this.store.flush()
      this.store.pull()
    }
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data))
    socket.onclose = () => {
      this.#failures += 1
      this.#show([])
      clearTimeout(this.#timer)
      const polls = this.#failures >= FAILURES_BEFORE_POLLING
      if (polls) this.#poll()
      else if (this.#failures > 1) this.#showWire('noWire')
      // Full jitter: after a restart not all browsers come back in the same moment.
      const pause = FIRST_PAUSE + Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures)
      this.#timer = setTimeout(() => this.#connect(), polls ? POLL_EVERY : pause)
    }
  }

  async #poll() {
    const answered = await this.store.pull()
    if (this.#failures) this.#showWire(answered ? 'slowWire' : 'noWire')
  }

  #showWire(state) {
    const wire = document.getElementById('wire')
    wire.hidden = !state
    wire.textContent = state && say(state)
  }

  #take(message) {
    if (message.type === 'changed') {
      if (!message.seq || message.seq > this.store.seq) this.store.pull()
    } else if (message.type === 'people') {
      this.#show(message.people.filter(({ tab }) => tab !== this.store.tab))
    }
  }

  #say(field = '') {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ node: this.board.current, field }))
  }

  #show(people) {
    this.faces.replaceChildren(...people.slice(0, 4).map(({ name, colour }) => face(name, colour)))
    for (const mark of document.querySelectorAll('.who')) mark.remove()
    for (const { node, name, colour } of people) {
      const element = node && this.board.element(node)
      if (!element) continue
      const mark = document.createElement('span')
      mark.className = `who who-${colour}`
      mark.textContent = say('isHere', name)
      element.append(mark)
    }
    for (const each of document.querySelectorAll('.is-theirs')) each.classList.remove('is-theirs')
    for (const { node, field } of people) {
      if (field && node === this.bench.shown) document.querySelector(`#form [data-field="${CSS.escape(field)}"]`)?.classList.add('is-theirs')
    }
  }
}

function face(name, colour) {
  const made = document.createElement('span')
  made.className = `face face-${colour}`
  made.title = name
  made.textContent = name.split(/\s+/).map((part) => part[0]).join('').slice(0, 2).toUpperCase()
  return made
}
