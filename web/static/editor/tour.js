// The first run, in a minute: a few notes beside the things of the editor, which end when a run has gone through.
import { send } from '../ask.js'
import { say } from '../words.js'

const ENDS = '/tour/end'
// As much as a card has its caption below it.
const GAP = 28
const EDGE = 12
const STEPS = [
  { words: 'tourNode', beside: '#cards .node-card, #outline [data-open]' },
  { words: 'tourRun', beside: '#run', until: '#run-bar .st-ok' },
  { words: 'tourRead', beside: '#cards [data-node]:last-of-type > .node-card, #outline [data-open]:last-of-type', isLast: true },
]

let at = 0
const watcher = new MutationObserver(goOnWhenDone)
const note = document.createElement('aside')
note.className = 'tour-note'
note.tabIndex = -1
note.setAttribute('role', 'dialog')

note.addEventListener('click', (event) => {
  const act = event.target.closest('button')?.dataset.tour
  if (act === 'next') show(at + 1)
  if (act === 'end') end()
})
note.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return
  event.stopPropagation()
  end()
})

export function beginTour() {
  document.body.append(note)
  addEventListener('resize', place)
  watcher.observe(document.getElementById('run-bar'), { childList: true, subtree: true })
  show(0)
}

function show(step) {
  at = step
  const { words, until, isLast } = STEPS[at]
  const text = document.createElement('p')
  text.textContent = say(words)
  const count = document.createElement('span')
  count.className = 'dim'
  count.textContent = say('tourStep', at + 1, STEPS.length)
  const acts = document.createElement('p')
  acts.className = 'acts'
  if (isLast) acts.append(button('end', 'tourDone', 'btn btn-solid'))
  else acts.append(...(until ? [] : [button('next', 'tourNext', 'btn btn-solid')]), button('end', 'tourStop', 'btn btn-quiet'))
  note.replaceChildren(count, text, acts)
  note.setAttribute('aria-label', say('tour'))
  note.toggleAttribute('data-done', Boolean(isLast))
  place()
  note.focus({ preventScroll: true })
}

function button(act, words, kind) {
  const made = document.createElement('button')
  made.type = 'button'
  made.className = kind
  made.dataset.tour = act
  made.textContent = say(words)
  return made
}

/** Below the thing it is about, or above where there is no room; on a phone it has a place of its own. */
function place() {
  const thing = document.querySelector(STEPS[at].beside)?.getBoundingClientRect()
  const own = note.getBoundingClientRect()
  if (!thing || getComputedStyle(note).getPropertyValue('--is-fixed')) return note.style.removeProperty('translate')
  const below = thing.bottom + GAP
  const top = below + own.height < innerHeight ? below : thing.top - GAP - own.height
  const left = Math.min(Math.max(EDGE, thing.left), innerWidth - own.width - EDGE)
  note.style.translate = `${Math.round(left)}px ${Math.round(Math.max(EDGE, top))}px`
}

function goOnWhenDone() {
  const { until } = STEPS[at]
  if (until && document.querySelector(until)) show(at + 1)
}

function end() {
  watcher.disconnect()
  removeEventListener('resize', place)
  note.remove()
  document.getElementById('canvas').focus()
  send(ENDS, '', 'application/x-www-form-urlencoded')
}
