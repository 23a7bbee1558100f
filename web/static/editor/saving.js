// “Saved 11:42:08”, always in sight; and what becomes of changes that two people made of one field.
import { changesKept, say } from './words.js'
import { toast } from './toasts.js'

const clock = (date) => date.toLocaleTimeString('en-GB')

/** Say how safe the draft is. */
export function listenToSaving(store, board) {
  const sign = document.getElementById('saved')
  const words = sign.querySelector('span')
  const show = (state, text) => {
    sign.dataset.state = state
    words.textContent = text
  }
  store.addEventListener('saving', () => { if (sign.dataset.state !== 'offline') show('saving', say('saving')) })
  store.addEventListener('saved', ({ detail: { at } }) => show('saved', say('saved', clock(at))))
  store.addEventListener('offline', ({ detail: { unsent } }) => show('offline', say('offline', changesKept(unsent))))
  store.addEventListener('signed-out', () => show('offline', say('signedOut', changesKept(store.unsent))))
  store.addEventListener('kept', ({ detail: { unsent } }) => show('offline', say('kept', changesKept(unsent))))
  store.addEventListener('gone', () => show('offline', say('gone')))
  store.addEventListener('note', ({ detail: { text } }) => toast(text))
  store.addEventListener('conflict', ({ detail: { operation, theirs } }) => {
    const field = operation.path.split('.').at(-1)
    const where = operation.node ? board.titleOf(operation.node) : 'the workflow'
    toast(`Somebody else has changed “${field}” of “${where}” meanwhile: ${short(theirs)}. Theirs stands.`, {
      label: 'Keep mine',
      run: () => store.change('Kept mine', [{ kind: 'set', node: operation.node, path: operation.path, value: operation.value }]),
    })
  })
}

function short(value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text === undefined || value === null ? 'it is empty' : text.length > 60 ? `${text.slice(0, 59)}…` : text
}
