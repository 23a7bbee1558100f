// The editor of a workflow: puts the parts together, and gives every act its name.
import { MANY, Sight } from './canvas/sight.js'
import { View } from './canvas/view.js'
import { listenToTabs, openTab } from './bench.js'
import { listenToViews } from './views.js'
import { Actions } from './editor/actions.js'
import { Bench } from './editor/bench.js'
import { Board } from './editor/board.js'
import { listenToExtras } from './editor/extras.js'
import { CodeField } from './editor/code.js'
import { Form } from './editor/form.js'
import { Gestures } from './editor/gestures.js'
import { listenToClipboard } from './editor/clipboard.js'
import { listenToKeys } from './editor/keys.js'
import { listenToMapping } from './editor/mapping.js'
import { listenToMinimap } from './editor/minimap.js'
import { Notes } from './editor/notes.js'
import { Palette } from './editor/add.js'
import { Runs } from './editor/runs.js'
import { Store } from './editor/store.js'
import { toast } from './editor/toasts.js'
import { listenToSaving } from './editor/saving.js'
import { makeCommands } from './editor/commands.js'
import { Presence } from './editor/presence.js'
import { say } from './words.js'

const draft = document.getElementById('draft')
const canvas = document.getElementById('canvas')
const world = document.getElementById('world')
const store = new Store(draft.dataset.workflow, Number(draft.dataset.seq), JSON.parse(draft.textContent), draft.dataset.whose)
store.readonly = 'readonly' in draft.dataset
document.body.classList.toggle('is-readonly', store.readonly)
document.body.classList.toggle('may-not-run', 'mayNotRun' in draft.dataset)
const board = new Board(canvas, world, store, JSON.parse(document.getElementById('drawn-cards').textContent))
const view = new View(canvas, world, board.boxes, { pans: (event) => gestures.pans(event) })
const actions = new Actions(store, board, view)
const palette = new Palette(store, actions)
const form = new Form(store, actions, { reach: () => ({ names: bench.names, functions: palette.functions }), light: (id) => board.light(id), escape: () => { board.focus(board.current); return true } })
const bench = new Bench(store, board, form, actions)
const gestures = new Gestures(board, view, actions, palette)
const notes = new Notes(store, board, view, actions)
const runs = new Runs(store, board, bench)
const code = new CodeField(store, bench, palette, draft.dataset)
const pasteText = listenToClipboard(store, board, view, actions, gestures)
listenToMapping(store, board, view, palette, bench)
const commands = makeCommands({ store, board, view, actions, bench, palette, notes, runs, code, pasteText })
const redrawMap = listenToMinimap(board, view)

const sight = board.sight = new Sight(view, board.boxes, board.edges, (id) => board.attach(id))
view.beside = () => notes.boxes
view.onChange = () => { redrawMap(); sight.soon() }
listenToTabs()
listenToViews(() => bench.lookAgain())
const showSchedule = listenToExtras(store)
listenToSaving(store, board, bench)
listenToKeys(board, view, actions, commands)

const parts = { publish: 'publish', problems: 'problems', outline: 'outline', start: 'start-at' }
store.addEventListener('change', ({ detail: { why, delta, foreign, label } }) => {
  board.sync(delta?.cards)
  document.getElementById('start').hidden = store.doc.nodes.length > 0
  for (const [part, id] of Object.entries(parts)) if (delta?.parts[part] !== undefined) replacePart(id, delta.parts[part])
  if (delta) {
    showProblems(delta.problems)
    showName(delta.own.name)
  }
  showSchedule()
  if (why === 'undo' || why === 'redo') commands.told(why, label)
  if (bench.shown && (why === 'undo' || why === 'redo' || foreign?.includes(bench.shown))) bench.show({ again: true })
  else if (!bench.shown && foreign?.includes('')) bench.show({ again: true })
  if (bench.shown && !store.node(bench.shown)) board.select([])
  if (foreign?.length) presence.flash(foreign)
})
store.addEventListener('invalid', ({ detail: { operation, detail } }) => {
  const words = (detail ?? '').replace(/^(?:[\w.[\]]+: )+/, '')
  if (!words || !form.refuse(operation, words)) toast(detail ? say('notDone', detail) : say('notTaken'))
})
board.addEventListener('added', () => bench.show({ focus: true }))
board.addEventListener('open', () => bench.show({ focus: true }))

function replacePart(id, html) {
  const element = document.getElementById(id)
  const chosen = element.querySelector('select')?.value
  element.innerHTML = html
  const select = element.querySelector('select')
  if (select && [...select.options].some(({ value }) => value === chosen)) select.value = chosen
  if (id === 'outline') board.markRows()
}

/** The workflow's name, also when somebody else has changed it. */
function showName(name = store.id) {
  const button = document.getElementById('rename-workflow')
  if (button.hidden || button.textContent === name) return
  button.textContent = name
  document.title = `${name} · FlowFuse`
}

function showProblems(problems) {
  form.mark(problems)
  const tab = document.getElementById('tab-problems')
  const errors = problems.filter(({ severity }) => severity === 'error').length
  let badge = tab.querySelector('.dtab-n')
  if (!problems.length) return badge?.remove()
  if (!badge) tab.append(badge = document.createElement('span'))
  badge.className = errors ? 'dtab-n is-bad' : 'dtab-n'
  badge.textContent = problems.length
  return undefined
}

// A large workflow is first seen from afar: its cards are not laid out before they are come near to.
canvas.classList.toggle('is-far', store.doc.nodes.length > MANY)
board.sync()
await board.layOutTheRest()
view.fit()
sight.now()
document.getElementById('start').hidden = store.doc.nodes.length > 0
world.classList.add('is-laid')
const presence = new Presence(store, board, bench)
await store.resume()
const { chosen } = draft.dataset
board.select(chosen && store.node(chosen) ? [chosen] : [])
const shownRun = new URL(location).searchParams.get('run')
if (shownRun) runs.follow(Number(shownRun))
document.documentElement.dataset.ready = 'yes'
if (new URL(location).searchParams.has('tour')) import('./editor/tour.js').then(({ beginTour }) => beginTour())
// What is loaded late is fetched while there is time, so that it is there when the connection is not.
requestIdleCallback(() => { import('./editor/expression.js').catch(() => {}) })
