// The bench's tabs, kept in the address; on a small screen the bench is a sheet.

/** One listener for all benches, also for one that htmx brings later. */
export function listenToTabs() {
  document.addEventListener('click', (event) => {
    const tab = event.target.closest('[data-tab]')
    if (tab) show(tab)
    if (event.target.closest('[data-sheet]')) document.body.classList.toggle('has-sheet')
    const opener = event.target.closest('[data-open]')
    if (opener) select(opener)
  })
  document.addEventListener('keydown', (event) => {
    const tab = event.target.closest?.('[data-tab]')
    if (!tab || !['ArrowLeft', 'ArrowRight'].includes(event.key)) return
    const next = event.key === 'ArrowRight' ? tab.nextElementSibling : tab.previousElementSibling
    if (next) { show(next); next.focus() }
  })
}

/** Open the tab with this name. */
export function openTab(name) {
  show(document.querySelector(`[data-tab="${name}"]`))
}

function show(tab) {
  const dock = tab.closest('.dock')
  document.body.classList.add('has-sheet')
  for (const other of dock.querySelectorAll('[data-tab]')) {
    const open = other === tab
    other.setAttribute('aria-selected', open)
    document.getElementById(other.getAttribute('aria-controls')).hidden = !open
  }
  const address = new URL(location)
  address.searchParams.set('tab', tab.dataset.tab)
  history.replaceState(history.state, '', address)
}

/** Put the selection's mark on the node that the bench shows. */
export function markChosen(id = document.getElementById('bench').dataset.node) {
  for (const element of document.querySelectorAll('.node, .loop, .orow')) element.classList.toggle('is-selected', element.dataset.node === id)
}

function select(opener) {
  markChosen(opener.dataset.open)
  if (!opener.closest('.dock') && document.querySelector('[data-tab="node"]')) openTab('node')
}
