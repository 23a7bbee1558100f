// “Saved 11:42:08”, always in sight; and what becomes of changes that two people made of one field.
import { clock, say } from '../words.js'
import { toast } from './toasts.js'

/** Say how safe the draft is. */
export function listenToSaving(store, board, bench) {
  const sign = document.getElementById('saved')
  const words = sign.querySelector('span')
  const show = (state, text) => {
    sign.dataset.state = state
    words.textContent = text
  }
  store.addEventListener('saving', () => { if (sign.dataset.state !== 'offline') show('saving', say('saving')) })
  store.addEventListener('saved', ({ detail: { at } }) => show('saved', say('saved', clock(at))))
  store.addEventListener('offline', ({ detail: { unsent } }) => show('offline', say('offline', say('changes', unsent))))
  store.addEventListener('signed-out', () => show('offline', say('signedOut', say('changes', store.unsent))))
  store.addEventListener('kept', ({ detail: { unsent } }) => show('offline', say('kept', say('changes', unsent))))
  store.addEventListener('gone', () => show('offline', say('gone')))
  store.addEventListener('note', ({ detail: { text } }) => toast(text))
  store.addEventListener('conflict', ({ detail: { operation, theirs } }) => {
    const field = operation.path.split('.').at(-1)
    const where = operation.node ? board.titleOf(operation.node) : say('workflow')
    // Theirs stands, so that is what the field shows; mine is one press away.
    bench.show({ again: true })
    toast(say('conflict', field, where, short(theirs)), {
      label: say('keepMine'),
      run: () => {
        store.change(say('keptMine'), [{ kind: 'set', node: operation.node, path: operation.path, value: operation.value }])
        bench.show({ again: true })
      },
    })
  })
}

function short(value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text === undefined || value === null ? say('isEmpty') : text.length > 60 ? `${text.slice(0, 59)}…` : text
}
