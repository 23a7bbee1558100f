// The Code Editor: Python of the code node, checked by the sandbox's own checker, with what the sandbox has and what
// the node's inputs hold offered while typing.
import * as monaco from 'monaco-editor/editor'
import 'monaco-editor/features/register.all'
import 'monaco-editor/languages/definitions/python/register'

const CHECK = 400 // after the last key
const KEYWORDS = 'and as assert async await break class continue def elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return True try while'.split(' ')
const BUILTINS = 'abs all any bool dict enumerate filter float format int isinstance len list map max min print range reversed round set sorted str sum tuple zip'.split(' ')
const METHODS = {
  text: 'upper lower strip split replace startswith endswith find join title splitlines encode isdigit removeprefix removesuffix format'.split(' '),
  list: 'append extend insert pop remove sort reverse index count copy'.split(' '),
  object: 'get keys values items pop update setdefault copy'.split(' '),
}

let context = { names: {}, modules: {} }
let prepared = false

/** Open an editor over a text box. `inputs` gives the globals with samples, `modules` holds what can be imported,
 *  `check` gives the problems of a source. */
export function open(box, { inputs, modules, check, workerAddress }) {
  prepare(workerAddress)
  context = { modules, get names() { return inputs() } }
  const host = document.createElement('div')
  host.className = 'monaco'
  box.before(host)
  box.hidden = true
  const editor = monaco.editor.create(host, {
    value: box.value, language: 'python', theme: themeNow(), automaticLayout: true, minimap: { enabled: false },
    fontFamily: getComputedStyle(box).fontFamily, fontSize: 12.5, lineHeight: 20, scrollBeyondLastLine: false,
    padding: { top: 8, bottom: 8 }, tabSize: 4, lineNumbersMinChars: 3, folding: true, renderLineHighlight: 'line', fixedOverflowWidgets: true,
    ariaLabel: box.labels?.[0]?.firstChild?.textContent ?? 'Code', accessibilitySupport: 'auto', tabFocusMode: false, scrollbar: { alwaysConsumeMouseWheel: false },
  })
  const model = editor.getModel()
  let timer
  const mark = async () => {
    const version = model.getVersionId()
    const found = await check(model.getValue())
    if (!model.isDisposed() && version === model.getVersionId()) monaco.editor.setModelMarkers(model, 'sandbox', found.map(marker))
  }
  const later = () => { clearTimeout(timer); timer = setTimeout(mark, CHECK) }
  model.onDidChangeContent(() => {
    box.value = model.getValue()
    box.dispatchEvent(new Event('input', { bubbles: true }))
    later()
  })
  editor.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.Enter, () => document.querySelector('[data-do="try-code"]')?.click())
  mark()
  return { editor, dispose() { clearTimeout(timer); editor.dispose(); model.dispose(); host.remove() } }
}

function prepare(workerAddress) {
  if (prepared) return
  prepared = true
  self.MonacoEnvironment = { getWorker: () => new Worker(workerAddress, { type: 'module' }) }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { defineThemes(); monaco.editor.setTheme(themeNow()) })
  defineThemes()
  monaco.languages.registerCompletionItemProvider('python', { triggerCharacters: ['.', '[', '"', "'"], provideCompletionItems: complete })
}

/** Monaco's own colours, on the page's ground. */
function defineThemes() {
  const ground = hexOf(getComputedStyle(document.body).getPropertyValue('--card'))
  for (const [name, base] of [['light', 'vs'], ['dark', 'vs-dark']]) monaco.editor.defineTheme(`paper-${name}`, { base, inherit: true, rules: [], colors: { 'editor.background': ground, 'editorGutter.background': ground } })
}

function hexOf(colour) {
  const ink = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  ink.fillStyle = colour
  ink.fillRect(0, 0, 1, 1)
  return `#${[...ink.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((part) => part.toString(16).padStart(2, '0')).join('')}`
}

const themeNow = () => (document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark' ? 'paper-dark' : 'paper-light'

function marker({ line, column, message, severity }) {
  return {
    startLineNumber: line, startColumn: column, endLineNumber: line, endColumn: column + 1, message,
    severity: severity === 'warning' ? monaco.MarkerSeverity.Warning : monaco.MarkerSeverity.Error,
  }
}

function complete(model, position) {
  const before = model.getValueInRange({ startLineNumber: position.lineNumber, startColumn: 1, endLineNumber: position.lineNumber, endColumn: position.column })
  const word = model.getWordUntilPosition(position)
  const range = { startLineNumber: position.lineNumber, endLineNumber: position.lineNumber, startColumn: word.startColumn, endColumn: word.endColumn }
  const item = (label, kind, detail = '', sort = '1') => ({ label, kind: monaco.languages.CompletionItemKind[kind], insertText: label, detail, range, sortText: sort + label })
  const key = /([\w.[\]"']+)\[["']\w*$/.exec(before)
  if (key) return { suggestions: Object.entries(valueOf(key[1]) ?? {}).map(([name, value]) => item(name, 'Field', shown(value), '0')) }
  const { modules } = context
  const taken = /^\s*from\s+([\w.]+)\s+import\s+(?:\w+\s*,\s*)*\w*$/.exec(before)
  if (taken) return { suggestions: (modules[taken[1]] ?? []).map((name) => item(name, 'Function')) }
  if (/^\s*(from|import)\s+[\w.]*$/.test(before)) {
    const typed = /[\w.]*$/.exec(before)[0]
    const whole = { ...range, startColumn: position.column - typed.length }
    return { suggestions: Object.keys(modules).map((name) => ({ ...item(name, 'Module'), range: whole })) }
  }
  const chain = /([\w.[\]"']+)\.\w*$/.exec(before)
  if (chain) {
    if (modules[chain[1]]) return { suggestions: modules[chain[1]].map((name) => item(name, 'Function')) }
    const value = valueOf(chain[1])
    const kind = typeof value === 'string' ? 'text' : Array.isArray(value) ? 'list' : value && typeof value === 'object' ? 'object' : null
    const names = kind ? METHODS[kind] : [...new Set(Object.values(METHODS).flat())]
    return { suggestions: names.map((name) => item(name, 'Method')) }
  }
  return {
    suggestions: [
      ...Object.entries(context.names).map(([name, value]) => item(name, 'Variable', shown(value), '0')),
      ...BUILTINS.map((name) => item(name, 'Function')), ...KEYWORDS.map((name) => item(name, 'Keyword', '', '2')), ...Object.keys(modules).map((name) => item(name, 'Module', 'import it first', '3')),
    ],
  }
}

/** What a chain such as `orders[0]["lines"]` leads to in the sample. */
function valueOf(chain) {
  const steps = [...chain.matchAll(/\[(?:"([^"]*)"|'([^']*)'|(\d+))\]|\.?(\w+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? match[4])
  return steps.reduce((value, step) => value?.[Array.isArray(value) ? 0 : step], context.names)
}

function shown(value) {
  if (Array.isArray(value)) return `list of ${value.length}`
  if (value && typeof value === 'object') return `${Object.keys(value).length} fields`
  return value === undefined ? '' : JSON.stringify(value).slice(0, 40)
}
