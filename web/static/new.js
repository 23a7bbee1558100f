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
  document.addEventListener('paste', (event) => {
    const text = event.clipboardData.getData('text/plain')
    if (event.target.closest?.('input, textarea, [contenteditable]') || !/["']?nodes["']?\s*:/.test(text)) return
    event.preventDefault()
    make(text)
  })
}

async function take([file]) {
  if (file) make(await file.text())
}

async function make(text, query = '') {
  const answer = await send(`/workflows${query}`, text, 'application/yaml')
  const content = await answer?.json().catch(() => ({}))
  if (answer?.ok) return location.assign(content.address)
  const first = content?.problems?.[0]
  const error = document.getElementById('new-error')
  error.hidden = false
  error.querySelector('span').textContent = first ? `${first.path}: ${first.message}` : content?.detail ?? say('noAnswer')
  const copy = error.querySelector('button')
  copy.hidden = answer?.status !== 409
  copy.onclick = () => make(text, '?copy')
  return undefined
}
