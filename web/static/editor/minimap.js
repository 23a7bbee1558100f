// The whole of the workflow in a corner; a press there moves the view.
import { boundsOf } from '../canvas/view.js'

const PAD = 60

/** Keep the map in step with board and view. It hides while all is in sight. */
export function listenToMinimap(board, view) {
  const map = document.getElementById('minimap')
  const paper = map.getContext('2d')
  let frame
  let scale = { x: 0, y: 0, k: 1 }
  const soon = () => { frame ??= requestAnimationFrame(() => { frame = undefined; draw() }) }

  function draw() {
    const bounds = boundsOf([...board.boxes.values()])
    const seen = view.window
    const whole = bounds && bounds.left >= seen.left && bounds.right <= seen.right && bounds.top >= seen.top && bounds.bottom <= seen.bottom
    map.hidden = !bounds || whole
    if (map.hidden) return
    const left = Math.min(bounds.left, seen.left) - PAD
    const top = Math.min(bounds.top, seen.top) - PAD
    const k = Math.min(map.width / (Math.max(bounds.right, seen.right) + PAD - left), map.height / (Math.max(bounds.bottom, seen.bottom) + PAD - top))
    scale = { x: left, y: top, k }
    const style = getComputedStyle(map)
    paper.clearRect(0, 0, map.width, map.height)
    for (const [id, box] of board.boxes) {
      const classes = board.element(id).classList
      const colour = classes.contains('is-fail') ? '--fail' : classes.contains('is-run') ? '--run' : classes.contains('is-selected') ? '--ink' : '--edge'
      paper.fillStyle = paper.strokeStyle = style.getPropertyValue(box.tray ? '--line-strong' : colour)
      const rect = [(box.x - left) * k, (box.y - top) * k, box.width * k, box.height * k]
      if (box.tray) paper.strokeRect(...rect)
      else paper.fillRect(...rect)
    }
    paper.strokeStyle = style.getPropertyValue('--accent')
    paper.lineWidth = 2
    paper.strokeRect((seen.left - left) * k, (seen.top - top) * k, (seen.right - seen.left) * k, (seen.bottom - seen.top) * k)
  }

  function go(event) {
    const frameBox = map.getBoundingClientRect()
    const x = ((event.clientX - frameBox.left) / frameBox.width) * map.width / scale.k + scale.x
    const y = ((event.clientY - frameBox.top) / frameBox.height) * map.height / scale.k + scale.y
    const { width, height } = view.size
    view.touched = true
    view.show(width / 2 - x * view.scale, height / 2 - y * view.scale, view.scale)
  }
  map.addEventListener('pointerdown', (event) => {
    map.setPointerCapture(event.pointerId)
    go(event)
  })
  map.addEventListener('pointermove', (event) => { if (event.buttons) go(event) })
  board.addEventListener('placed', soon)
  board.addEventListener('select', soon)
  return soon
}
