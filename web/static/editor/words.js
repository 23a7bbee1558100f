// What the editor says, in one place. {0} and {1} are what it is about.
export const WORDS = {
  added: 'Added “{0}”',
  moved: 'Moved {0}',
  connected: 'Connected “{0}” and “{1}”',
  disconnected: 'Took the connection away',
  deleted: 'Deleted {0}',
  pasted: 'Pasted {0}',
  duplicated: 'Duplicated {0}',
  renamed: 'Renamed to “{0}”',
  off: 'Switched {0} off',
  on: 'Switched {0} on',
  tidied: 'Tidied up',
  aligned: 'Aligned {0}',
  grouped: 'Grouped {0}',
  noted: 'Added a note',
  pinned: 'Pinned the output of “{0}”',
  unpinned: 'Took the pin off “{0}”',
  copied: 'Copied {0}',
  undo: 'Undone: {0}',
  redo: 'Done again: {0}',
  set: 'Changed “{0}”',
  circle: '“{0}” already leads to “{1}”: they would feed each other in a circle. Use a loop for that.',
  leak: '“{1}” lies outside the loop of “{0}”. Only the port “done” leads out of a loop.',
  trigger: '“{0}” begins a run, so nothing leads to it.',
  itself: 'A node cannot lead to itself.',
  already: '“{0}” and “{1}” are connected already.',
  notJson: 'This is not JSON: {0}',
  nothingToPaste: 'The clipboard holds no nodes.',
  saved: 'Saved {0}',
  saving: 'Saving',
  offline: 'Offline. {0} kept here and sent when the server is back.',
  signedOut: 'Signed out. {0} kept here; sign in again in another tab.',
  kept: 'Not saved. {0} kept here.',
  gone: 'This workflow has been deleted.',
  noServer: 'The server does not answer. Nothing was changed.',
  letters: 'Type a letter to connect',
  position: '{0} at {1}, {2}',
}

export const say = (key, ...parts) => WORDS[key].replace(/\{(\d)\}/g, (_, index) => parts[index])

/** “Fetch”, or `3 nodes`. */
export const named = (nodes, titleOf) => (nodes.length === 1 ? `“${titleOf(nodes[0])}”` : `${nodes.length} nodes`)
export const changesKept = (count) => (count === 1 ? '1 change is' : `${count} changes are`)
