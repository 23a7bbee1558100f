// [data-copy] puts its text on the clipboard and says so for a moment.
document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]')
  if (!button) return
  const label = button.querySelector('[data-copied]')
  const before = label.textContent
  await write(button.dataset.copy)
  label.textContent = label.dataset.copied
  setTimeout(() => { label.textContent = before }, 1600)
})

async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  // Served without TLS from another machine: the clipboard's own interface is not there.
  const field = document.createElement('textarea')
  field.value = text
  document.body.append(field)
  field.select()
  document.execCommand('copy')
  field.remove()
}
