// The events of one run, each once and in order: a WebSocket that goes on after the last number it saw.
// When it cannot be opened three times in a row, the same events are polled until it can.

const FIRST_PAUSE = 300
const LONGEST_PAUSE = 5000
const FAILURES_BEFORE_POLLING = 3
const POLL_EVERY = 2000
const STEADY_AFTER = 1000

export class Live {
  #socket
  #timer
  #failures = 0
  #ended = false

  /** `onEvent` gets every event; `onWire` hears "live", "waiting" or "polling". */
  constructor(execution, after, { onEvent, onWire }) {
    Object.assign(this, { execution, seq: after, onEvent, onWire })
    addEventListener('online', () => this.#again(0))
    this.#connect()
  }

  /** The run has ended: nothing more will come. */
  end() {
    this.#ended = true
    clearTimeout(this.#timer)
    this.#socket?.close()
  }

  #connect() {
    const address = new URL('/live', location)
    address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:'
    address.search = new URLSearchParams({ execution: this.execution, after: this.seq })
    const socket = new WebSocket(address)
    this.#socket = socket
    // A server that takes the connection and drops it at once counts as a failure, too.
    const settled = () => {
      clearTimeout(steady)
      this.#failures = 0
      this.onWire('live')
    }
    let steady
    socket.onopen = () => { steady = setTimeout(settled, STEADY_AFTER) }
    socket.onmessage = ({ data }) => {
      settled()
      this.#take(JSON.parse(data))
    }
    socket.onclose = () => {
      clearTimeout(steady)
      if (this.#ended || socket !== this.#socket) return
      this.#failures += 1
      if (this.#failures >= FAILURES_BEFORE_POLLING) this.#poll()
      else this.onWire('waiting')
      // Full jitter: after a restart not all browsers come back in the same moment.
      this.#again(Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures))
    }
  }

  #again(pause) {
    if (this.#ended || this.#socket?.readyState <= WebSocket.OPEN) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#connect(), Math.max(pause, this.#failures >= FAILURES_BEFORE_POLLING ? POLL_EVERY : 0))
  }

  async #poll() {
    try {
      const answer = await fetch(`/api/v1/executions/${this.execution}/events?after=${this.seq}`, { headers: { Accept: 'application/json' } })
      if (this.#failures) this.onWire(answer.ok ? 'polling' : 'waiting')
      if (!answer.ok) return
      const content = await answer.json()
      for (const event of content.items) this.#take(event)
    } catch {
      // The server is away; the next round asks again.
      this.onWire('waiting')
    }
  }

  #take(event) {
    if (this.#ended) return
    if (event.seq) {
      if (event.seq <= this.seq) return // polled and pushed: once is enough
      this.seq = event.seq
    }
    this.onEvent(event)
  }
}
