// Run: sends the input as it was typed (so that no number is rounded on the way) and goes to the new run.
import { openTab } from './bench.js'

/** The form of the tab Input, and the Run button beside the canvas. */
export function listenToRun(form) {
  const button = document.getElementById('run')
  const start = () => { if (!button.disabled) run(form, button) }
  button.addEventListener('click', start)
  form.addEventListener('submit', (event) => { event.preventDefault(); start() })
  form.elements.input.addEventListener('input', () => tell(form, ''))
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) { event.preventDefault(); start() }
  })
}

async function run(form, button) {
  const text = form.elements.input.value.trim() || 'null'
  const mistake = mistakeIn(text)
  if (mistake) return tell(form, mistake)
  const trigger = form.elements.trigger ? `, "trigger": ${JSON.stringify(form.elements.trigger.value)}` : ''
  button.disabled = true
  try {
    const answer = await fetch(form.dataset.run, {
      method: 'POST', headers: { 'Content-Type': 'application/json', Accept: 'application/json' }, body: `{"input": ${text}${trigger}}`,
    })
    const content = await answer.json().catch(() => ({}))
    if (!answer.ok) return tell(form, content.detail || content.title || `The server answered ${answer.status}.`)
    location.assign(`/runs/${content.id}`)
  } catch {
    tell(form, 'The server does not answer. The input stays here; try again.')
  } finally {
    button.disabled = false
  }
}

/** What is wrong with the JSON, and where; empty if nothing is. */
function mistakeIn(text) {
  try {
    JSON.parse(text)
    return ''
  } catch (error) {
    const at = /position (\d+)/.exec(error.message)?.[1]
    const reason = error.message.replace(/ in JSON at.*| at position.*|JSON\.parse: /g, '')
    if (at === undefined) return `This is not JSON: ${reason}`
    const before = text.slice(0, Number(at)).split('\n')
    return `Line ${before.length}, column ${before.at(-1).length + 1}: ${reason}`
  }
}

function tell(form, words) {
  const error = document.getElementById('input-error')
  error.hidden = !words
  error.querySelector('span').textContent = words
  form.elements.input.setAttribute('aria-invalid', Boolean(words))
  if (!words) return
  openTab('input')
  form.elements.input.focus()
}
