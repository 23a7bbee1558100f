// Keys are written for a Mac; elsewhere ⌘ is the control key. Also in what is put into the page later.
const MAC = /Mac|iPhone|iPad/.test(navigator.platform)

function rewrite(root) {
  for (const cap of root.querySelectorAll('kbd')) {
    const words = cap.textContent.replaceAll('⌘', 'Ctrl ').replaceAll('⌥', 'Alt ').replaceAll('⇧', 'Shift ').replace('⌫', 'Del')
    if (words !== cap.textContent) cap.textContent = words
  }
}

if (!MAC) {
  rewrite(document)
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) if (node.nodeType === 1) rewrite(node)
  }).observe(document.body, { childList: true, subtree: true })
}
