// Short notices at the lower edge, with at most one act; and what only a screen reader hears.

const STAYS = 6000

/** Show a notice. `action` is {label, run}. */
export function toast(text, action) {
  const box = document.getElementById('toasts')
  const made = document.createElement('div')
  made.className = 'toast'
  const words = document.createElement('span')
  words.textContent = text
  made.append(words)
  if (action) {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'toast-act'
    button.textContent = action.label
    button.addEventListener('click', () => { made.remove(); action.run() })
    made.append(button)
  }
  box.append(made)
  while (box.children.length > 3) box.firstElementChild.remove()
  setTimeout(() => made.remove(), action ? STAYS * 2 : STAYS)
}

/** For screen readers only. */
export function announce(text) {
  document.getElementById('said').textContent = text
}
