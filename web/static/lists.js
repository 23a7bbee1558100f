// Lists: choosing several rows for one act, fields that send their form by themselves, tables that refresh
// while something in them goes on.
import htmx from 'htmx.org'

const RELOAD_EVERY = 3000

// Several rows: the bar of acts is there while something is chosen.
const bar = document.querySelector('[data-bulk]')
if (bar) {
  const boxes = () => [...document.querySelectorAll('.chk[name="id"]')]
  const show = () => {
    const chosen = boxes().filter((box) => box.checked).length
    bar.hidden = chosen === 0
    bar.querySelector('[data-chosen]').textContent = chosen
    const all = document.querySelector('[data-all]')
    if (all) all.checked = chosen > 0 && chosen === boxes().length
  }
  document.addEventListener('change', (event) => {
    if (event.target.matches('[data-all]')) for (const box of boxes()) box.checked = event.target.checked
    if (event.target.matches('.chk')) show()
  })
  show()
}

// A choice that sends its form at once.
document.addEventListener('change', (event) => {
  if (event.target.matches('[data-send]')) event.target.form.requestSubmit()
})

const hasSingleKeys = document.documentElement.dataset.singleKeys !== 'off'

// “?” shows the keys of the pages, also where a run or two versions are drawn; the editor has its own.
document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, textarea, select, [contenteditable]')
  if (hasSingleKeys && event.key === '?' && !typing && !document.querySelector('.canvas.is-edited')) location.assign('/help#keys')
})

// “/” goes to the page's own search field, if nothing is being typed.
document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, textarea, select, [contenteditable]')
  const field = document.querySelector('[data-search]')
  if (!hasSingleKeys || event.key !== '/' || typing || !field || event.metaKey || event.ctrlKey) return
  event.preventDefault()
  field.focus()
})

// A part that changes while one looks at it: fetched again and merged in, so that what the reader has opened, typed,
// scrolled or put the caret in stays. While rows are chosen, or older ones were asked for, it stands still.
for (const part of document.querySelectorAll('[data-live]')) {
  let isPagedBack = false
  part.addEventListener('click', (event) => { isPagedBack ||= Boolean(event.target.closest('#older a')) })
  const standsStill = () => document.hidden || isPagedBack || part.querySelector('.chk:checked')
  setInterval(async () => {
    if (standsStill()) return
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' } }).catch(() => null)
    if (!answer?.ok) return
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById(part.id)
    if (fresh && !standsStill()) htmx.swap({ target: part, sourceElement: part, text: fresh.innerHTML, swap: 'innerMorph' })
  }, RELOAD_EVERY)
}

// On a phone a row of views scrolls sideways: the open one comes into sight.
for (const open of document.querySelectorAll('.views .view[aria-current]')) {
  const row = open.closest('.views')
  row.scrollLeft = open.offsetLeft - row.offsetLeft - (row.clientWidth - open.offsetWidth) / 2
}
