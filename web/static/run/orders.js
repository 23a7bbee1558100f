// [data-post]: pause, go on, cancel. The answer only says that the order is kept; the run's state follows.

/** `after` is called once an order was taken. */
export function listenToOrders(after) {
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-post]')
    if (!button) return
    button.disabled = true
    const refusal = await send(button.dataset.post)
    button.disabled = false
    tell(refusal)
    if (!refusal) after()
  })
}

async function send(address) {
  try {
    const answer = await fetch(address, { method: 'POST', headers: { 'Content-Type': 'application/json', Accept: 'application/json' }, body: '{}' })
    if (answer.ok) return ''
    const content = await answer.json().catch(() => ({}))
    return content.detail || content.title || `The server answered ${answer.status}.`
  } catch {
    return 'The server does not answer. Nothing was changed.'
  }
}

function tell(words) {
  const error = document.getElementById('bar-error')
  error.hidden = !words
  error.querySelector('span').textContent = words
}
