// The field in which an expression is written: what is in reach is offered, names are chips. Loaded when the first
// such field gets the focus; the text stays in the form's own box, so that nothing else has to know of this one.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { EditorState, Prec } from '@codemirror/state'
import { Decoration, EditorView, keymap, placeholder, ViewPlugin } from '@codemirror/view'
import { say } from '../words.js'

const MARKS = [
  ['ex-s', /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g],
  ['ex-p', /\b(?:trigger|input|item|index|nodes|loops|vars|execution|workflow)\b(?:\.\w+|\[\d+\])*/g],
  ['ex-k', /\b(?:if|else|and|or|not|in|for|true|false|null)\b/g],
  ['ex-n', /\b\d+(?:\.\d+)?\b/g],
]

/** Put an editor over a text box. `reach` gives {names, functions}; `leave` is called when the focus
 *  goes, `escape` when Esc was pressed and no list is open. */
export function mount(box, { reach, leave, light, escape }) {
  const nonce = document.querySelector('meta[name="style-nonce"]').content
  const label = box.labels?.[0]?.firstChild?.textContent ?? box.getAttribute('aria-label') ?? say('expression')
  const bare = box.dataset.as === 'expression'
  const { id } = box
  const start = box.selectionStart ?? box.value.length
  const view = new EditorView({
    state: EditorState.create({
      doc: box.value,
      selection: { anchor: Math.min(start, box.value.length) },
      extensions: [
        EditorView.cspNonce.of(nonce), EditorView.editorAttributes.of({ class: 'exf exf-live' }), history(), closeBrackets(), braces, EditorView.lineWrapping,
        placeholder(box.placeholder), marks(bare),
        autocompletion({ override: [(context) => complete(context, reach(), bare)], icons: false, defaultKeymap: false }),
        // A list that is only on its way would take the key as well, and the first Esc would seem to do nothing.
        Prec.highest(keymap.of([{ key: 'Escape', run: (view) => !view.dom.querySelector('.cm-tooltip-autocomplete') && escape() }])),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap.filter(({ key }) => key !== 'Mod-Enter' && key !== 'Shift-Enter')]),
        EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false', ...(box.getAttribute('aria-invalid') === 'true' && { 'aria-invalid': 'true' }) }),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return
          box.value = update.state.doc.toString()
          box.dispatchEvent(new Event('input', { bubbles: true }))
        }),
        EditorView.domEventHandlers({
          // Typed over a selection, the browser would keep its look by a style attribute, which the policy refuses.
          beforeinput: (event, target) => {
            if (event.inputType !== 'insertText' || target.state.selection.main.empty) return false
            event.preventDefault()
            target.dispatch(target.state.replaceSelection(event.data ?? ''))
            return true
          },
          mouseover: (event) => { light(/^nodes\.(\w+)/.exec(event.target.closest?.('.ex-p')?.textContent ?? '')?.[1]) },
          mouseleave: () => { light() },
        }),
      ],
    }),
  })
  box.before(view.dom)
  box.hidden = true
  box.removeAttribute('id') // its label names the editor now
  view.focus()
  view.contentDOM.addEventListener('blur', () => setTimeout(() => {
    if (view.hasFocus || !box.isConnected) return
    box.hidden = false
    if (id) box.id = id
    view.destroy()
    leave(box)
  }))
  return view
}

/** `{{` makes a pair, with room between. */
const braces = EditorView.inputHandler.of((view, from, to, text) => {
  if (text !== '{' || view.state.sliceDoc(from - 1, from) !== '{' || view.state.sliceDoc(from - 2, from) === '{{') return false
  const after = view.state.sliceDoc(to, to + 1) === '}' ? 1 : 0
  view.dispatch({ changes: { from, to: to + after, insert: '{  }}' }, selection: { anchor: from + 2 }, userEvent: 'input.type' })
  startCompletion(view)
  return true
})

const marks = (bare) => ViewPlugin.define((view) => ({
  decorations: decorate(view.state.doc.toString(), bare),
  update(update) { if (update.docChanged) this.decorations = decorate(update.state.doc.toString(), bare) },
}), { decorations: (plugin) => plugin.decorations })

function decorate(text, bare) {
  const found = []
  for (const [from, to] of expressions(text, bare)) {
    const source = text.slice(from, to)
    const taken = []
    for (const [name, pattern] of MARKS) {
      for (const match of source.matchAll(pattern)) {
        const [start, end] = [from + match.index, from + match.index + match[0].length]
        if (taken.some(([low, high]) => start < high && low < end)) continue
        taken.push([start, end])
        found.push(Decoration.mark({ class: name }).range(start, end))
      }
    }
  }
  for (const match of text.matchAll(/\{\{|\}\}/g)) found.push(Decoration.mark({ class: 'ex-b' }).range(match.index, match.index + 2))
  return Decoration.set(found, true)
}

/** From where to where each expression of a text goes. */
function expressions(text, bare) {
  if (bare && !text.includes('{{')) return [[0, text.length]]
  const found = []
  for (let at = text.indexOf('{{'); at >= 0; at = text.indexOf('{{', at + 2)) {
    const end = text.indexOf('}}', at)
    found.push([at + 2, end < 0 ? text.length : end])
  }
  return found
}

function complete(context, { names, functions }, bare) {
  const text = context.state.doc.toString()
  if (!expressions(text, bare).some(([from, to]) => context.pos >= from && context.pos <= to)) return null
  const word = context.matchBefore(/[\w.[\]"]*/)
  if (!word || (word.from === word.to && !context.explicit && !/\{\{\s*$/.test(text.slice(0, context.pos)))) return null
  const parts = word.text.split('.')
  const last = parts.pop()
  const from = context.pos - last.length
  if (!parts.length) return { from, options: [...keys(names ?? {}, 2), ...functions.map(called)], validFor: /^\w*$/ }
  const value = parts.reduce(step, names ?? {})
  const own = value && typeof value === 'object' && !Array.isArray(value) ? keys(value, 1) : []
  return { from, options: [...own, ...functions.map(method)], validFor: /^\w*$/ }
}

/** What a part of a path leads to: a key, or with `[0]` an item. */
function step(value, part) {
  const [key, ...items] = part.split('[')
  const found = value?.[key]
  return items.reduce((list) => (Array.isArray(list) ? list[0] : undefined), found)
}

const keys = (value, boost) => Object.entries(value).filter(([key]) => /^[A-Za-z_]\w*$/.test(key)).map(([label, sample]) => ({ label, detail: shown(sample), type: 'property', boost }))
const called = ({ name, signature, summary, example }) => ({ label: name, detail: signature.slice(name.length), info: `${summary}\n${example}`, apply: (view, _, from, to) => put(view, from, to, `${name}()`, 1), boost: -1 })
const method = ({ name, signature, summary }) => ({ label: name, detail: signature.slice(name.length), info: summary, apply: (view, _, from, to) => put(view, from, to, `${name}()`, signature.includes(',') ? 1 : 0), boost: -1 })

function put(view, from, to, text, back) {
  view.dispatch({ changes: { from, to, insert: text }, selection: { anchor: from + text.length - back } })
}

function shown(sample) {
  if (sample === null || sample === undefined) return ''
  if (Array.isArray(sample)) return say('list')
  if (typeof sample === 'object') return say('fields', Object.keys(sample).length)
  const text = JSON.stringify(sample)
  return text.length > 28 ? `${text.slice(0, 27)}…` : text
}
