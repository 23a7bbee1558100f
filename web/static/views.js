// How values are shown: as a table, a tree, JSON or their schema. One choice for all columns, also for those that come later.

let chosen = 'tree'

export function listenToViews() {
  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-show]')
    if (!button) return
    chosen = button.dataset.show
    showViews()
  })
  document.addEventListener('htmx:after:swap', showViews)
}

/** Show the chosen view in each column that has it, else the tree. */
export function showViews() {
  for (const col of document.querySelectorAll('.col')) {
    const shown = col.querySelector(`[data-view="${chosen}"]`) ? chosen : 'tree'
    for (const part of col.querySelectorAll('[data-view]')) part.hidden = part.dataset.view !== shown
    for (const button of col.querySelectorAll('[data-show]')) button.setAttribute('aria-pressed', button.dataset.show === shown)
  }
}
