// The canvas is one stop of the tab key; arrows move along the connections inside it.

/** Arrow keys, Home, zoom keys. The chosen card is the one that tab reaches. */
export function listenToKeys(canvas, world, view) {
  const openers = [...canvas.querySelectorAll('.world [data-open]')]
  const stop = openers.find((opener) => opener.tabIndex === 0) ?? openers[0]
  if (stop) stop.tabIndex = 0

  canvas.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const next = neighbour(event.key, event.target.closest('[data-open]'), openers, world)
    if (next) focus(next)
    else if (event.key === '1') view.fit()
    else if (event.key === '+' || event.key === '-') view.zoom(event.key === '+' ? 1.25 : 0.8)
    else return
    event.preventDefault()
  })

  function focus(next) {
    for (const opener of openers) opener.tabIndex = opener === next ? 0 : -1
    next.focus({ preventScroll: true })
    view.reveal(next)
  }
}

function neighbour(key, current, openers, world) {
  const edges = [...world.querySelectorAll('.edge')].map(({ dataset }) => dataset)
  if (key === 'Home') return openers.find(({ dataset }) => !edges.some(({ to }) => to === dataset.open))
  if (!current || !key.startsWith('Arrow')) return null
  const id = current.dataset.open
  const find = (name) => openers.find(({ dataset }) => dataset.open === name)
  if (key === 'ArrowRight') return find(edges.find(({ from }) => from === id)?.to)
  if (key === 'ArrowLeft') return find(edges.find(({ to }) => to === id)?.from)
  const sources = edges.filter(({ to }) => to === id).map(({ from }) => from)
  const siblings = [...new Set(edges.filter(({ from }) => sources.includes(from)).map(({ to }) => to))]
  return find(siblings[siblings.indexOf(id) + (key === 'ArrowDown' ? 1 : -1)])
}
