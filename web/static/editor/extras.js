// Fields that need more than a box: when a schedule fires, a file to be chosen.
import { post, send } from '../ask.js'
import { toast } from './toasts.js'
import { day as shownDay, say } from '../words.js'

const SHOWN = 3

/** Listen to those fields; the function says anew when the shown schedule fires. */
export function listenToExtras(store) {
  const panel = document.getElementById('panel-node')
  panel.addEventListener('click', (event) => {
    const preset = event.target.closest('[data-cron]')
    if (!preset) return
    write(panel, 'config.cron', preset.dataset.cron)
    for (const other of ['config.every', 'config.at']) write(panel, other, '')
  })
  panel.addEventListener('change', async (event) => {
    const { upload } = event.target.dataset
    const [file] = event.target.files ?? []
    if (!upload || !file) return
    const response = await send(`/api/v1/files?name=${encodeURIComponent(file.name)}`, file, file.type || 'application/octet-stream')
    if (response?.ok) write(panel, upload, JSON.stringify(await response.json()))
    else toast(response ? (await response.json().catch(() => ({}))).detail ?? say('noServer') : say('noServer'))
  })
  document.addEventListener('form-shown', show)
  return show

  async function show() {
    const line = panel.querySelector('[data-schedule]')
    const node = line && store.node(document.getElementById('form').dataset.node)
    if (!node) return
    const { cron = '', every = null, at = '', timezone = '' } = node.config ?? {}
    if (!cron && !every && !at) return tell(line, say('noTimes'))
    const zone = timezone || store.doc.own.settings?.timezone || 'UTC'
    const response = await post('/api/v1/schedules/preview', { cron, every, at, timezone: zone })
    const answer = await response?.json().catch(() => null)
    if (!line.isConnected || !answer) return
    if (!response.ok) return tell(line, answer.detail ?? '')
    tell(line, answer.words, answer.coming.length ? say('next', answer.coming.slice(0, SHOWN).map(shortly).join(', '), zone) : say('neverAgain'))
  }
}

function tell(line, words, more = '') {
  const below = document.createElement('span')
  below.className = 'dim'
  below.textContent = more
  line.replaceChildren(words, below)
}

/** `Thu 26 Nov 09:00`, as the schedule's own clock shows it. */
function shortly(iso) {
  const [date, time] = iso.split('T')
  const day = shownDay(new Date(`${date}T12:00:00Z`), { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' })
  return `${day} ${time.slice(0, 5)}`
}

function write(panel, path, value) {
  const control = panel.querySelector(`[data-as][data-path="${path}"]`)
  if (!control || control.value === value) return
  control.value = value
  control.dispatchEvent(new Event('input', { bubbles: true }))
  control.dispatchEvent(new Event('change', { bubbles: true }))
}
