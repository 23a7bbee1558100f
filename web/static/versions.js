// What can be done with versions: restore one, name one, take one change of the draft back.
import { post } from './ask.js'
import { toast } from './editor/toasts.js'
import { at } from './editor/document.js'
import { token } from './editor/store.js'
import { say } from './words.js'

/** Listen to the page's buttons. */
export function listenToVersions() {
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button')
    if (!button) return
    const { restore, go, nameVersion, undoPath } = button.dataset
    if (restore) send(restore, {}).then((done) => { if (done) location.assign(go) })
    else if (nameVersion) name(button, nameVersion)
    else if (undoPath) takeBack(button.dataset)
  })
}

function name(button, address) {
  const input = document.createElement('input')
  input.className = 'name-in'
  input.placeholder = say('versionExample')
  input.setAttribute('aria-label', say('versionName'))
  button.hidden = true
  button.before(input)
  input.focus()
  input.addEventListener('keydown', async (event) => {
    if (event.key === 'Escape') { input.remove(); button.hidden = false }
    if (event.key !== 'Enter' || !input.value.trim()) return
    if (await send(address, { note: input.value })) location.reload()
  })
}

async function takeBack({ undoNode: node, undoPath: path, undoFrom: version }) {
  const { workflow } = document.getElementById('versions').dataset
  const answer = await fetch(`/workflows/${workflow}/export?format=json&version=${version}`)
  if (!answer.ok) return toast(say('versionGone'))
  const old = await answer.json()
  const value = at(node ? old.nodes.find(({ id }) => id === node) : old, path)
  const operation = { id: token(), kind: value === undefined ? 'unset' : 'set', path, ...(node && { node }), ...(value !== undefined && { value }) }
  const done = await send(`/api/v1/workflows/${workflow}/operations`, { operations: [operation] })
  if (done) location.reload()
  return undefined
}

async function send(address, body) {
  const answer = await post(address, body)
  if (answer?.ok) return true
  const content = await answer?.json().catch(() => ({}))
  toast(content?.detail ?? say('noServer'))
  return false
}
