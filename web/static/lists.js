// Lists: choosing several rows for one act, fields that send their form by themselves, tables that refresh
// while something in them goes on.

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

// “?” shows the keys of the pages; the editor has its own.
document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, textarea, select, [contenteditable]')
  if (event.key === '?' && !typing && !document.querySelector('.is-editor, .ed')) location.assign('/help#keys')
})

// “/” goes to the page's own search field, if nothing is being typed.
document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, textarea, select, [contenteditable]')
  const field = document.querySelector('[data-search]')
  if (event.key !== '/' || typing || !field || event.metaKey || event.ctrlKey) return
  event.preventDefault()
  field.focus()
})

// A part that changes while one looks at it: fetched again and put in the old one's place.
for (const part of document.querySelectorAll('[data-live]')) {
  setInterval(async () => {
    const busy = part.contains(document.activeElement) || part.querySelector('.chk:checked')
    if (document.hidden || busy) return
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' } }).catch(() => null)
    if (!answer?.ok) return
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById(part.id)
    if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes)
  }, RELOAD_EVERY)
}
