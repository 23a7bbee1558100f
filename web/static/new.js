// A new workflow: empty, from a file that is chosen, or from one that is dropped on a page of lists.

import { send } from './ask.js'
import { say } from './words.js'

document.addEventListener('click', (event) => {
  if (event.target.closest('[data-new]')) make('')
  if (event.target.closest('[data-import]')) document.getElementById('import-document').click()
})
document.getElementById('import-document')?.addEventListener('change', (event) => take(event.target.files))
if (document.querySelector('[data-import]')) {
  addEventListener('dragover', (event) => event.preventDefault())
  addEventListener('drop', (event) => {
    event.preventDefault()
    take(event.dataTransfer.files)
  })
}

async function take([file]) {
  if (file) make(await file.text())
}

async function make(text) {
  const answer = await send('/workflows', text, 'application/yaml')
  const content = await answer?.json().catch(() => ({}))
  if (answer?.ok) return location.assign(content.address)
  const first = content?.problems?.[0]
  const error = document.getElementById('new-error')
  error.hidden = false
  error.querySelector('span').textContent = first ? `${first.path}: ${first.message}` : content?.detail ?? say('noAnswer')
  return undefined
}
