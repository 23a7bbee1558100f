// A run's page while it goes on: counts events in, fetches the bench anew, shows the wire, passes orders on.
import htmx from 'htmx.org'
import { markChosen } from '../bench.js'
import { Live } from './live.js'
import { States } from './states.js'
import { listenToOrders } from './orders.js'
import { say } from '../words.js'

const REFETCH_EVERY = 700
const WIRE_WORDS = { waiting: say('noWire'), polling: say('slowWire') }

/** Start following the run whose counts are in #states. */
export function followRun() {
  const states = new States()
  const list = () => document.getElementById('states')
  states.read(list())
  const refetch = throttled(() => fetchPart(states))
  listenToOrders(refetch)
  tick()
  document.addEventListener('toggle', ({ target }) => { if (target.dataset?.attempt) keepAttempt(target) }, true)
  document.addEventListener('htmx:after:swap', () => {
    states.read(list())
    markChosen()
  })
  if (states.over) return

  const live = new Live(list().dataset.execution, Number(list().dataset.seq), {
    onWire: showWire,
    onEvent(event) {
      states.take(event)
      refetch()
      if (states.over) {
        live.end()
        showWire('live')
      }
    },
  })
}

/** The address names the attempt that was opened last, of the node that is shown. */
function keepAttempt({ open, dataset: { attempt } }) {
  const address = new URL(location)
  if (open) {
    const { node, path } = document.getElementById('bench').dataset
    address.searchParams.set('node', node)
    if (path) address.searchParams.set('path', path)
    address.searchParams.set('attempt', attempt)
  } else if (address.searchParams.get('attempt') === attempt) address.searchParams.delete('attempt')
  history.replaceState(history.state, '', address)
}

function fetchPart(states) {
  const { part, node, path } = document.getElementById('bench').dataset
  const tab = document.querySelector('[data-tab][aria-selected="true"]').dataset.tab
  // A reader who has chosen no node is shown where the run failed, once it has.
  const stay = !states.over || new URL(location).searchParams.has('node')
  const query = new URLSearchParams(stay ? { node, path, tab } : { tab })
  return htmx.ajax('GET', `${part}?${query}`, { target: '#bench', swap: 'outerMorph' })
}

/** At most one call each interval, and always one after the last request for it. */
function throttled(action) {
  let timer
  let last = 0
  return () => {
    if (timer) return
    timer = setTimeout(() => {
      timer = undefined
      last = performance.now()
      action()
    }, Math.max(0, last + REFETCH_EVERY - performance.now()))
  }
}

function showWire(state) {
  const wire = document.getElementById('wire')
  wire.hidden = state === 'live'
  wire.textContent = WIRE_WORDS[state] ?? ''
}

/** The running time in the bar, counted on from the server's own clock. */
function tick() {
  const offset = new WeakMap()
  setInterval(() => {
    const clock = document.querySelector('#run-bar [data-since]')
    if (!clock) return
    if (!offset.has(clock)) offset.set(clock, { from: performance.now(), ran: (clock.dataset.now - clock.dataset.since) / 1000 })
    const { from, ran } = offset.get(clock)
    const seconds = Math.floor((ran + performance.now() - from) / 1000)
    clock.textContent = `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
  }, 1000)
}
