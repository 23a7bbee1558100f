// How values are shown: as a table, a tree, JSON or their schema. One choice for all columns, also for those that come
// later; the address has it.


const VIEWS = ['tree', 'table', 'json', 'schema']
let chosen = VIEWS.find((view) => view === new URLSearchParams(location.search).get('view')) ?? 'tree'

/** The view that is wanted. */
export const wantedView = () => chosen

/** Follow the buttons; `onChoice` is told of each, as by a page that brings what is shown only when it is wanted. */
export function listenToViews(onChoice = () => {}) {
  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-show]')
    if (!button) return
    chosen = button.dataset.show
    toAddress()
    showViews()
    onChoice()
  })
  document.addEventListener('htmx:after:swap', showViews)
  showViews()
}

function toAddress() {
  const address = new URL(location)
  if (chosen === 'tree') address.searchParams.delete('view')
  else address.searchParams.set('view', chosen)
  history.replaceState(history.state, '', address)
}

/** Show the chosen view in each column that has it, else the tree, else what is there. */
export function showViews() {
  for (const col of document.querySelectorAll('.col')) {
    const parts = [...col.querySelectorAll('[data-view]')]
    const there = parts.map(({ dataset }) => dataset.view)
    const shown = [chosen, 'tree'].find((view) => there.includes(view)) ?? there[0]
    for (const part of parts) part.hidden = part.dataset.view !== shown
    for (const button of col.querySelectorAll('[data-show]')) button.setAttribute('aria-pressed', button.dataset.show === shown)
  }
}
