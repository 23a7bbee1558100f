// Nodes as JSON on the clipboard: between workflows, windows and machines. Files can be dropped as well.
import { send } from '../ask.js'
import { parse } from '../exact.js'
import { announce, toast } from './toasts.js'
import { named, say } from '../words.js'

/** Listen to the browser's own copy, cut and paste, and to files that are dropped; what pastes a text. */
export function listenToClipboard(store, board, view, actions, gestures) {
  const elsewhere = () => {
    const focused = document.activeElement
    return focused?.matches('input, textarea, select, [contenteditable="true"]') || focused?.closest('dialog') || !getSelection().isCollapsed
  }
  const copy = (event) => {
    if (elsewhere() || !board.selected.size) return false
    const clip = actions.clip()
    event.clipboardData.setData('text/plain', JSON.stringify({ flowfuse: 1, ...clip }, null, 2))
    event.preventDefault()
    announce(say('copied', named(clip.nodes.map(({ id }) => id), board.titleOf)))
    return true
  }
  document.addEventListener('copy', copy)
  document.addEventListener('cut', (event) => { if (copy(event)) actions.remove() })
  document.addEventListener('paste', (event) => {
    if (elsewhere()) return
    event.preventDefault()
    pasteText(event.clipboardData.getData('text/plain'), where())
  })
  const { canvas } = board
  canvas.addEventListener('dragover', (event) => { if ([...event.dataTransfer.types].includes('Files')) event.preventDefault() })
  canvas.addEventListener('drop', async (event) => {
    const [file] = event.dataTransfer.files
    if (!file) return
    event.preventDefault()
    const at = view.toWorld(event)
    pasteText(await file.text(), at, file.name)
  })

  function where() {
    const { pointer } = gestures
    if (pointer && canvas.matches(':hover')) return view.toWorld(pointer)
    const { left, right, top, bottom } = view.window
    return { x: (left + right) / 2 - 92, y: (top + bottom) / 2 - 34 }
  }

  async function pasteText(text, at, name = '') {
    at ??= where()
    const clip = await read(text, name)
    if (typeof clip === 'string') return toast(clip)
    if (clip.nodes.length) return actions.paste(clip, at)
    return toast(say('nothingToPaste'))
  }
  return (text, name) => pasteText(text, undefined, name)
}

/** The clipboard's nodes; a sentence where there are none. YAML and JSON documents are read by the server. */
async function read(text, name) {
  try {
    const plain = parse(text)
    if (Array.isArray(plain?.nodes) && plain.nodes.every((node) => node?.id && node?.type)) return clipOf(plain)
    if (/\.json$/.test(name)) return fixed(name, plain)
    return say('nothingToPaste')
  } catch (error) {
    if (error instanceof RangeError) return error.message
    // Not JSON: perhaps a document in YAML.
  }
  const isTable = /\.csv$/i.test(name)
  const response = await send('/documents/read', text, isTable ? 'text/csv' : 'application/yaml')
  if (!response?.ok) return (await response?.json().catch(() => null))?.detail ?? say('nothingToPaste')
  const { document: plain, rows } = await response.json()
  return isTable ? fixed(name, rows) : clipOf(plain)
}

const clipOf = ({ nodes, edges = [], notes, groups }) => ({ nodes, edges, notes, groups })

/** A file of data becomes a node that gives it. */
function fixed(name, value) {
  const id = name.replace(/\.\w+$/, '').toLowerCase().replace(/[^a-z0-9]+/g, '_').replace(/^[^a-z]+|_+$/g, '') || 'data'
  return { nodes: [{ id, type: 'transform.set', name, config: { fields: {} }, pinned: value }], edges: [] }
}
