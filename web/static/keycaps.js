// Keys are written for a Mac; elsewhere ⌘ is the control key.
if (!/Mac|iPhone|iPad/.test(navigator.platform)) {
  for (const cap of document.querySelectorAll('kbd')) cap.textContent = cap.textContent.replace('⌘', 'Ctrl ')
}
