// The keyboard: the canvas is one stop of the tab key; arrows follow connections, letters act on the selection.
import { announce } from './toasts.js'
import { refusal } from './rules.js'
import { say } from '../words.js'

const LETTERS = 'asdfghjklqwertyuiopzxcvbnm'
const STEP = { small: 4, large: 24 }

/** `commands` are the acts by name, as the toolbar's buttons have them too. */
export function listenToKeys(board, view, actions, commands) {
  const mac = /Mac|iPhone|iPad/.test(navigator.platform)
  const connector = new Letters(board, actions)

  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing) return
    const typing = event.target.closest('input, textarea, select, [contenteditable="true"]')
    if (document.querySelector('dialog[open]')) return
    if (connector.active) {
      event.preventDefault()
      return connector.type(event.key)
    }
    const name = withCommand(event, mac, Boolean(typing)) ?? (event.ctrlKey || event.metaKey ? null : typing ? (event.key === 'Escape' ? 'leave' : null) : plain(event))
    if (!name) return
    event.preventDefault()
    run(name, event)
  })

  function withCommand(event, isMac, typing) {
    const command = isMac ? event.metaKey : event.ctrlKey
    if (!command || event.altKey) return null
    const key = event.key.toLowerCase()
    if (key === 'enter') return 'run'
    if (key === 'k') return 'find'
    if (key === '.') return 'bench'
    if (typing) return null
    if (key === 'z') return event.shiftKey ? 'redo' : 'undo'
    return { y: 'redo', d: 'duplicate', g: 'group', a: 'all' }[key] ?? null
  }

  function plain(event) {
    const { key } = event
    if (event.altKey && key.startsWith('Arrow')) return 'nudge'
    if (event.altKey) return null
    // Who dictates, or strikes keys by accident, can switch all of one character off (WCAG 2.1.4).
    if (key.length === 1 && document.documentElement.dataset.singleKeys === 'off') return null
    if (event.shiftKey && key === 'Enter') return 'run-node'
    if (event.shiftKey && key.toLowerCase() === 't') return 'tidy'
    const onCanvas = document.activeElement === document.body || board.canvas.contains(document.activeElement) || document.activeElement.closest('#outline')
    const inButton = event.target.closest('button, a.btn, [role="tab"]')
    if (key === 'Escape') return 'leave'
    if (!onCanvas && !['/', '?'].includes(key)) return null
    if (key.startsWith('Arrow') || key === 'Home') return inButton && !board.canvas.contains(inButton) ? null : 'travel'
    if (key === 'Enter') return event.target.closest('[data-open]') ? 'open' : null
    if (key === ' ') return null
    const single = { '/': 'add', '?': 'keys', c: 'connect', d: 'toggle', r: 'rename', n: 'note', p: 'pin', o: 'outline', 1: 'fit', 0: 'life-size', 2: 'fit-selection', '+': 'zoom-in', '=': 'zoom-in', '-': 'zoom-out', Delete: 'delete', Backspace: 'delete', j: 'next-problem', k: 'previous-problem' }
    return single[key.length === 1 ? key.toLowerCase() : key] ?? null
  }

  function run(name, event) {
    if (name === 'travel') return travel(event.key)
    if (name === 'nudge') return nudge(event)
    if (name === 'connect') return connector.begin()
    return commands[name]?.(event)
  }

  function nudge(event) {
    if (!board.selected.size) return
    const by = event.shiftKey ? STEP.large : STEP.small
    const [dx, dy] = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] }[event.key]
    actions.nudge(dx, dy)
  }

  function travel(key) {
    const current = document.activeElement?.closest?.('[data-open]')?.dataset.open ?? board.current
    const next = neighbour(board, current, key)
    if (!next) return
    board.select([next])
    view.reveal(board.element(next), board.boxes.get(next))
    board.focus(next)
    announce(describe(board, next))
  }
}

/** The node that an arrow leads to: along an edge, or to its sibling. */
function neighbour(board, id, key) {
  const links = board.links()
  const { nodes } = board.store.doc
  if (key === 'Home' || !id) return nodes.find((node) => !links.some(({ to }) => to === node.id))?.id ?? nodes[0]?.id
  if (key === 'ArrowRight') return links.find(({ from }) => from === id)?.to
  if (key === 'ArrowLeft') return links.find(({ to }) => to === id)?.from
  const sources = links.filter(({ to }) => to === id).map(({ from }) => from)
  let siblings = [...new Set(links.filter(({ from }) => sources.includes(from)).map(({ to }) => to))]
  // Without a branch beside it, the nearest card above or below.
  if (siblings.length < 2) siblings = nodes.map((node) => node.id)
  siblings.sort((one, other) => board.boxes.get(one).y - board.boxes.get(other).y || board.boxes.get(one).x - board.boxes.get(other).x)
  return siblings[siblings.indexOf(id) + (key === 'ArrowDown' ? 1 : -1)]
}

function describe(board, id) {
  const next = board.links().filter(({ from }) => from === id).map(({ to }) => board.titleOf(to))
  const title = board.element(id).querySelector('.badge:not([hidden])') ? say('hasProblem', board.titleOf(id)) : board.titleOf(id)
  return next.length ? say('leadsTo', title, next.join(', ')) : title
}

/** Connecting by letters: each port, then each node that fits, gets one. */
class Letters {
  #choices = new Map()

  constructor(board, actions) {
    Object.assign(this, { board, actions, active: false })
  }

  begin() {
    const from = this.board.current
    const ports = from ? this.board.boxes.get(from).ports : []
    if (!ports.length) return
    this.active = true
    announce(say('letters'))
    if (ports.length === 1) return this.#targets(from, ports[0])
    const element = this.board.element(from)
    this.#offer(ports.map((port) => [element.querySelector(`:scope > [data-port="${port}"]`), () => this.#targets(from, port)]))
  }

  type(key) {
    const choice = this.#choices.get(key.toLowerCase())
    this.#clear()
    this.active = false
    if (choice) choice()
  }

  #targets(from, port) {
    const fits = this.board.store.doc.nodes.map(({ id }) => id).filter((id) => !refusal(this.board, from, port, id))
    this.active = fits.length > 0
    if (!fits.length) return announce(say('noTargets'))
    this.#offer(fits.map((id) => [this.board.element(id), () => this.actions.connect(from, port, id)]))
  }

  #offer(choices) {
    this.#clear()
    for (const [index, [element, take]] of choices.slice(0, LETTERS.length).entries()) {
      const cap = document.createElement('kbd')
      cap.className = 'letter'
      cap.textContent = LETTERS[index].toUpperCase()
      element.append(cap)
      this.#choices.set(LETTERS[index], take)
    }
  }

  #clear() {
    for (const cap of document.querySelectorAll('.letter')) cap.remove()
    this.#choices.clear()
  }
}
