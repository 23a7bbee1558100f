// A value of the bench that is dropped on the empty canvas: what can be done with it is offered, already set up.
import { behindNode } from './rules.js'
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
  const taken = (event) => event.target.closest('.node-card, .sticky, textarea') !== null
  canvas.addEventListener('dragover', (event) => {
    if (event.dataTransfer.types.includes(VALUE) && !store.readonly && !taken(event)) event.preventDefault()
  })
  canvas.addEventListener('drop', (event) => {
    const path = event.dataTransfer.getData(VALUE)
    const behind = path && !taken(event) && behindNode(board, bench.shown)
    const there = behind && afterwards(store.doc, bench.shown, path)
    if (!there) return
    event.preventDefault()
    const { x, y } = view.toWorld(event)
    const value = `{{ ${there} }}`
    const name = path.match(/([A-Za-z_]\w*)\W*$/)?.[1] ?? 'value'
    const configs = Object.fromEntries(Object.entries(OFFERED).map(([type, config]) => [type, config(value, name)]))
    palette.open({ ...behind, at: { x: x - 92, y: y - 34 }, client: event, configs })
  })
}

/** The same value as a node behind that one says it, since its input is not what came in here; empty where it cannot. */
function afterwards(doc, id, path) {
  if (!/^input\b/.test(path)) return path
  const into = doc.edges.filter(({ to }) => to === id)
  if (!into.length) return path.replace(/^input/, 'trigger')
  const [edge] = into
  if (into.length === 1) return path.replace(/^input/, portOf(edge) === 'item' && isLoop(doc, sourceOf(edge)) ? 'item' : `nodes.${sourceOf(edge)}`)
  // Of several nodes the input has the values by the nodes' names, unless only one of them has come.
  const source = /^input\.(\w+)/.exec(path)?.[1]
  return into.some((each) => sourceOf(each) === source) ? path.replace(/^input\./, 'nodes.') : ''
}

const isLoop = (doc, id) => nodeOf(doc, id)?.type.startsWith('loop.')
