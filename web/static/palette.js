// “Find or do” (⌘K) on the pages of lists, and what the nav counts. In the editor, editor/finder.js does it.

const SHOWN = 9
const COUNT_EVERY = 15000

const dialog = document.querySelector('dialog.finder:not([data-editor])')
const own = dialog && !document.querySelector('.is-editor')
let rows = []
let at = 0
let asked = 0

if (own) {
  const text = document.getElementById('find-text')
  const list = document.getElementById('find-list')
  document.addEventListener('click', (event) => { if (event.target.closest('[data-find]')) open() })
  document.addEventListener('keydown', (event) => {
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      open()
    }
  })
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close() })
  text.addEventListener('input', () => search(text.value))
  text.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step && rows.length) at = (at + step + rows.length) % rows.length
    else if (event.key === 'Enter') return rows[at] && location.assign(rows[at].address)
    else return undefined
    event.preventDefault()
    return draw(list, text)
  })
  list.addEventListener('click', (event) => {
    const row = event.target.closest('[data-row]')
    if (row) location.assign(rows[Number(row.dataset.row)].address)
  })

  function open() {
    if (dialog.open) return
    text.value = ''
    dialog.showModal()
    search('')
  }

  async function search(wanted) {
    const mine = ++asked
    const answer = await fetch(`/find?q=${encodeURIComponent(wanted)}`, { headers: { Accept: 'application/json' } }).catch(() => null)
    if (mine !== asked || !answer?.ok) return
    rows = (await answer.json()).items.slice(0, SHOWN)
    at = 0
    draw(list, text)
  }
}

function draw(list, text) {
  list.replaceChildren(...rows.map(({ words, hint }, index) => {
    const row = document.createElement('div')
    row.className = `qa-row${index === at ? ' is-on' : ''}`
    row.id = `find-${index}`
    row.dataset.row = index
    row.setAttribute('role', 'option')
    row.setAttribute('aria-selected', index === at)
    for (const [name, shown] of [['qa-t', words], ['qa-s', hint]]) {
      const part = document.createElement('span')
      part.className = name
      part.textContent = shown
      row.append(part)
    }
    return row
  }))
  text.setAttribute('aria-activedescendant', rows.length ? `find-${at}` : '')
}

const counted = document.querySelectorAll('[data-count]')

async function count() {
  if (document.hidden) return
  const answer = await fetch('/counts', { headers: { Accept: 'application/json' } }).catch(() => null)
  const numbers = answer?.ok ? await answer.json().catch(() => null) : null
  if (!numbers) return
  for (const place of counted) place.textContent = numbers[place.dataset.count] || ''
}

if (counted.length) {
  count()
  setInterval(count, COUNT_EVERY)
  document.addEventListener('visibilitychange', count)
}
