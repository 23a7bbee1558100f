// “Find or do” (⌘K) on the pages of lists, and what the nav counts. In the editor, editor/finder.js does it.

import { ask } from './ask.js'
import { Choices } from './choices.js'
import { say } from './words.js'

const COUNT_EVERY = 15000
const TRY_EVERY = 3000 // while the server does not answer

const dialog = document.querySelector('dialog.finder:not([data-editor])')

if (dialog && !document.querySelector('.is-editor')) {
  const choices = new Choices(dialog, find)
  document.addEventListener('click', (event) => { if (event.target.closest('[data-find]')) choices.open() })
  document.addEventListener('keydown', (event) => {
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      choices.open()
    }
  })
}

async function find(typed) {
  const answer = await read(`/find?q=${encodeURIComponent(typed)}`)
  return answer?.items.map(({ words, hint, address }) => ({ words, hint, run: () => location.assign(address) }))
}

/** What an address answers; null where it cannot be had now, which is tried again by what comes next. */
async function read(address) {
  const answer = await ask(address)
  return answer?.ok ? answer.json().catch(() => null) : null
}

const counted = document.querySelectorAll('[data-count]')

async function count() {
  if (document.hidden) return
  const numbers = await read('/counts')
  showWire(Boolean(numbers))
  if (!numbers) return
  for (const place of counted) place.textContent = numbers[place.dataset.count] || ''
}

/** The sign at the reader's name: whether the server answers. */
function showWire(answers) {
  const dot = document.querySelector('.live-dot')
  if (!dot) return
  dot.classList.toggle('is-off', !answers)
  dot.title = dot.querySelector('span').textContent = say(answers ? 'connected' : 'noWire')
}

if (counted.length) {
  const again = async () => {
    await count()
    setTimeout(again, document.querySelector('.live-dot.is-off') ? TRY_EVERY : COUNT_EVERY)
  }
  again()
  document.addEventListener('visibilitychange', count)
  for (const name of ['online', 'offline']) addEventListener(name, count)
}
