// A credential made where it is needed. Its secret goes to the server and never comes back.
import { post } from '../ask.js'
import { slug } from './actions.js'
import { say } from '../words.js'

const box = () => document.getElementById('connect')

/** Ask for a credential for the chosen node. */
export function openConnect(store, board) {
  const form = document.getElementById('connect-form')
  form.reset()
  form.dataset.node = board.current
  showKind(form)
  tell('')
  const url = store.node(board.current)?.config?.url ?? ''
  form.elements.hosts.value = /^https?:\/\/([^/:{}]+)/.exec(url)?.[1] ?? ''
  box().showModal()
}

export function listenToConnect(store, board, actions, bench) {
  const form = document.getElementById('connect-form')
  form.elements.kind.addEventListener('change', () => showKind(form))
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const name = form.elements.name.value.trim()
    const kind = form.elements.kind.value
    const data = Object.fromEntries([...form.querySelectorAll(`[data-kind="${kind}"] [data-secret]`)].map((input) => [input.dataset.secret, input.value]))
    const hosts = form.elements.hosts.value.split(',').map((host) => host.trim()).filter(Boolean)
    const id = `${slug(name) || 'credential'}_${Date.now().toString(36).slice(-4)}`
    const answer = await post('/api/v1/credentials', { id, name, kind, hosts, data })
    const content = await answer?.json().catch(() => ({}))
    if (!answer?.ok) return tell(content?.detail ?? say('noServer'))
    box().close()
    const { node } = form.dataset
    form.reset()
    if (actions.change(say('set', say('credential')), [{ kind: 'set', node, path: 'credential', value: id }])) bench.show({ again: true })
    return undefined
  })
}

function showKind(form) {
  for (const part of form.querySelectorAll('[data-kind]')) part.hidden = part.dataset.kind !== form.elements.kind.value
}

function tell(words) {
  const error = document.getElementById('connect-error')
  error.hidden = !words
  error.querySelector('span').textContent = words
}
