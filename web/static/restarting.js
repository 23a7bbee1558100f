// A form after which the server starts anew: the page waits until it is there again, and goes on by itself.
import { ask, post } from './ask.js'
import { say } from './words.js'

const LOOK_EVERY = 500

document.addEventListener('submit', async (event) => {
  const form = event.target.closest('[data-restarts]')
  if (!form) return
  event.preventDefault()
  const button = event.submitter
  button.disabled = true
  const answer = await post(form.action)
  if (answer?.ok) {
    form.replaceChildren(document.getElementById('restarting').content.cloneNode(true))
    return waitAndGo(form.dataset.restarts)
  }
  button.disabled = false
  form.querySelector('.ferr')?.remove()
  const wrong = document.createElement('p')
  wrong.className = 'ferr'
  wrong.role = 'alert'
  wrong.textContent = answer ? (await answer.json()).detail : say('noAnswer')
  form.append(wrong)
})

/** It does not take work any more when it has answered, so whoever says that it does is the new one. */
function waitAndGo(address) {
  setInterval(async () => {
    if ((await ask('/ready'))?.ok) location.assign(address)
  }, LOOK_EVERY)
}
