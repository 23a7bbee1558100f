// A value of the bench that is dropped on the empty canvas: what can be done with it is offered, already set up.
import { nodeOf, portOf, sourceOf } from './document.js'

const VALUE = 'application/x-flowfuse-path'

/** What is offered on a value, with the field that takes it. */
const OFFERED = {
  'loop.for_each': (path) => ({ items: path }),
  'condition.if': (path) => ({ condition: path }),
  'transform.set': (path, name) => ({ fields: { [name]: path } }),
}

/** Listen to values that are dragged over the canvas. */
export function listenToMapping(store, board, view, palette, bench) {
  const { canvas } = board
  canvas.addEventListener('dragover', (event) => {
    if (event.dataTransfer.types.includes(VALUE) && !store.readonly) event.preventDefault()
  })
  canvas.addEventListener('drop', (event) => {
    const path = event.dataTransfer.getData(VALUE)
    const shown = path && !event.target.closest('.node-card') && nodeOf(store.doc, bench.shown)
    if (!shown) return
    event.preventDefault()
    const entry = palette.entry(shown.type)
    const port = entry?.loop ? 'done' : entry?.ports[0]
    if (!port) return
    const { x, y } = view.toWorld(event)
    const value = `{{ ${afterwards(store.doc, shown.id, path)} }}`
    const name = path.match(/([A-Za-z_]\w*)\W*$/)?.[1] ?? 'value'
    const configs = Object.fromEntries(Object.entries(OFFERED).map(([type, config]) => [type, config(value, name)]))
    palette.open({ from: shown.id, port, at: { x: x - 92, y: y - 34 }, client: event, configs })
  })
}

/** The same value as a node behind that one says it: its input is no longer the one that came in here. */
function afterwards(doc, id, path) {
  if (!/^input\b/.test(path)) return path
  const into = doc.edges.filter(({ to }) => to === id)
  if (into.length !== 1) return path.replace(/^input\./, 'nodes.')
  const [edge] = into
  return path.replace(/^input/, portOf(edge) === 'item' && isLoop(doc, sourceOf(edge)) ? 'item' : `nodes.${sourceOf(edge)}`)
}

const isLoop = (doc, id) => nodeOf(doc, id)?.type.startsWith('loop.')
