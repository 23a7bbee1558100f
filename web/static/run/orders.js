// [data-post]: pause, go on, cancel, retry, decide. The answer only says that the order is kept; the run's state
// follows. data-body is what is sent, data-go the address that the new run's id is put behind.

import { send } from '../ask.js'
import { say } from '../words.js'

/** `after` is called once an order was taken. */
export function listenToOrders(after) {
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-post]')
    if (!button) return
    button.disabled = true
    const { refusal, content } = await order(button.dataset.post, button.dataset.body)
    button.disabled = false
    tell(refusal)
    if (refusal) return
    if (button.dataset.go && content.id) location.assign(button.dataset.go + content.id)
    else after()
  })
}

async function order(address, body = '{}') {
  const answer = await send(address, body)
  if (!answer) return { content: {}, refusal: say('noServer') }
  const content = await answer.json().catch(() => ({}))
  return { content, refusal: answer.ok ? '' : content.detail || content.title || say('answered', String(answer.status)) }
}

function tell(words) {
  const error = document.getElementById('bar-error')
  error.hidden = !words
  error.querySelector('span').textContent = words
}
