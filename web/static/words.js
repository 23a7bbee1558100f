// What the script says, in one place. {0} and {1} are what it is about; of two forms the first is for one of {0}.
// Other languages come as the table that the server's pages use, by the English words.
const WORDS = {
  tour: 'Your first run',
  tourStep: '{0} of {1}',
  tourNode: 'Each card is a node: one step of the work. A run goes along the lines, from the left to the right.',
  tourRun: 'Run it with this button. Every node takes what the one before it gave.',
  tourRead: 'Done: your first run went through. Open a card to read what its node got and what it gave.',
  tourNext: 'Next step',
  tourStop: 'End the tour',
  tourDone: 'Done',
  quoted: '“{0}”',
  nodes: ['1 node', '{0} nodes'],
  fields: ['1 field', '{0} fields'],
  changes: ['1 change is', '{0} changes are'],
  added: 'Added “{0}”',
  moved: 'Moved {0}',
  connected: 'Connected “{0}” and “{1}”',
  disconnected: 'Took the connection away',
  between: 'Put “{0}” in between',
  putInto: 'Put “{0}” into “{1}”',
  deleted: 'Deleted {0}',
  pasted: 'Pasted {0}',
  duplicated: 'Duplicated {0}',
  renamed: 'Renamed to “{0}”',
  off: 'Switched {0} off',
  on: 'Switched {0} on',
  tidied: 'Tidied up',
  aligned: 'Aligned {0}',
  grouped: 'Grouped {0}',
  ungrouped: 'Took the group away',
  group: 'Group',
  noted: 'Added a note',
  wroteNote: 'Wrote a note',
  aNote: 'a note',
  note: 'Note: {0}',
  pinned: 'Pinned the output of “{0}”',
  unpinned: 'Took the pin off “{0}”',
  copied: 'Copied {0}',
  undoIt: 'Undo',
  undo: 'Undone: {0}',
  redo: 'Done again: {0}',
  set: 'Changed “{0}”',
  stale: 'Left as it is: somebody else has changed it since ({0}).',
  readonly: 'Your role here is to look, not to change. An admin can make you an editor.',
  cannotBe: 'That cannot be: {0}.',
  refusedWith: 'The server refused it ({0}).',
  notDone: 'Not done: {0}.',
  notTaken: 'Not done: the server does not take it.',
  circle: '“{0}” already leads to “{1}”: they would feed each other in a circle. Use a loop for that.',
  leak: '“{1}” lies outside the loop of “{0}”. Only the port “done” leads out of a loop.',
  trigger: '“{0}” begins a run, so nothing leads to it.',
  itself: 'A node cannot lead to itself.',
  already: '“{0}” and “{1}” are connected already.',
  notJson: 'This is not JSON: {0}',
  notJsonAt: 'Line {0}, column {1}: {2}',
  nothingToPaste: 'The clipboard holds no nodes.',
  saved: 'Saved {0}',
  saving: 'Saving',
  offline: 'Offline. {0} kept here and sent when the server is back.',
  signedOut: 'Signed out. {0} kept here; sign in again in another tab.',
  kept: 'Not saved. {0} kept here.',
  gone: 'This workflow has been deleted.',
  conflict: 'Somebody else has changed “{0}” of “{1}” meanwhile: {2}. Theirs stands.',
  workflow: 'the workflow',
  isEmpty: 'it is empty',
  keepMine: 'Keep mine',
  keptMine: 'Kept mine',
  isHere: '{0} is here',
  noServer: 'The server does not answer. Nothing was changed.',
  noAnswer: 'The server does not answer.',
  answered: 'The server answered {0}.',
  letters: 'Type a letter to connect',
  noTargets: 'Nothing here can come after it.',
  connectTo: 'Connect to',
  disconnectFrom: 'Which connection is taken away?',
  insertOn: 'On which connection?',
  position: '{0} at {1}, {2}',
  hasProblem: '{0}, has a problem',
  leadsTo: '{0}, leads to {1}',
  name: 'Name',
  credential: 'Credential',
  findOrDo: 'Find a node, or do something',
  goTo: 'go to',
  addIt: 'add',
  nothingFits: 'Nothing fits “{0}”.',
  notRunYet: 'It has not run yet.',
  asInRun: 'As in run {0}: {1}, {2}',
  inputBelow: 'with the input below',
  inputOfRun: 'with the input of run {0}',
  published: 'Published as v{0}. Its triggers start runs now.',
  takenOff: 'Taken off: its triggers start no more runs. What runs goes on.',
  publishAgain: 'Publish again',
  notPublished: 'Not published.',
  notPublishedYet: ['Not published: 1 problem to mend first.', 'Not published: {0} problems to mend first.'],
  toMend: ['1 problem to mend first: {1}.', '{0} problems to mend first: {1}.'],
  found: ['1 found', '{0} found'],
  search: ['Type to search 1 node', 'Type to search {0} nodes'],
  nothingCalled: 'Nothing is called “{0}”. Call any address with “HTTP request”.',
  needs: 'Needs',
  leavesBy: 'Leaves by',
  endsRun: 'nothing: it ends the run',
  inside: 'Inside',
  entryNeedsName: 'Each entry needs a name.',
  twice: '“{0}” is there twice.',
  expression: 'Expression',
  list: 'list',
  running: 'running',
  line: 'Line {0}: ',
  noTimes: 'Not yet: choose one below, or write a time.',
  next: 'next {0} ({1})',
  neverAgain: 'never again',
  rounds: ['1 round', '{0} rounds'],
  waiting: 'waiting',
  attempt: 'attempt {0}',
  doneAtWork: ['1 done, at work', '{0} done, at work'],
  atWork: 'at work',
  doneOf: ['1 done', '{0} done'],
  failedOf: ['1 failed', '{0} failed'],
  failed: 'failed',
  skipped: 'skipped',
  stopped: 'stopped',
  stoppedOf: ['1 stopped', '{0} stopped'],
  done: 'done',
  connected: 'Connected',
  noWire: 'No connection, trying again',
  slowWire: 'Slow connection, asking every 2 s',
  versionExample: 'before the big change',
  versionName: 'Name of the version',
  versionGone: 'That version is not there any more.',
  code: 'Code',
}

/** What kinds of values, families of nodes and states are called, and what can be found and done; by their names. */
const NAMED = {
  kind: { str: 'text', num: 'number', bool: 'true or false', null: 'empty', obj: 'object', arr: 'list' },
  family: { trigger: 'Starts a run', action: 'Does something', condition: 'Chooses a way', loop: 'Repeats', transform: 'Changes data', integration: 'Services', guardrail: 'Guards', ai: 'Thinks' },
  way: { true: 'yes', false: 'no', default: 'else', done: 'done', error: 'error' },
  state: { pending: 'Pending', running: 'Running', paused: 'Paused', completed: 'Completed', failed: 'Failed', cancelled: 'Cancelled' },
  act: {
    run: 'Run', 'run-node': 'Run the chosen node alone', 'run-to': 'Run up to the chosen node', 'run-from': 'Run from the chosen node on',
    add: 'Add a node', note: 'Add a note', group: 'Group the selection', tidy: 'Tidy up', undo: 'Undo', redo: 'Redo',
    'disconnect-from': 'Take a connection away', 'insert-on': 'Insert a node on a connection',
    duplicate: 'Duplicate', toggle: 'Switch off or on', delete: 'Delete', all: 'Select all', fit: 'Show all',
    outline: 'Outline', publish: 'Publish', unpublish: 'Unpublish', pin: 'Pin the output', bench: 'Open or close the bench', keys: 'Show all keys',
  },
  place: {
    '/': 'Home', '/workflows': 'Workflows', '/runs': 'Runs', '/inbox': 'Inbox', '/schedules': 'Schedules', '/webhooks': 'Webhooks',
    '/connections': 'Connections', '/templates': 'Templates', '/settings': 'Settings', '/help': 'Help',
  },
}

const { lang, dataset } = globalThis.document?.documentElement ?? { lang: 'en', dataset: {} }
const table = dataset.words ? await fetch(dataset.words).then((answer) => (answer.ok ? answer.json() : {})).catch(() => ({})) : {}

/** A sentence with what it is about filled in; numbers as the language writes them. */
export function say(key, ...parts) {
  const english = WORDS[key]
  const isCounted = Array.isArray(english)
  const found = table[isCounted ? english[0] : english] ?? english
  const text = isCounted ? found[parts[0] === 1 ? 0 : 1] : found
  return text.replace(/\{(\d)\}/g, (_, index) => (typeof parts[index] === 'number' ? parts[index].toLocaleString(lang) : parts[index]))
}

/** What one of a kind is called; its own name, where it has no other. */
export const called = (kind, name) => (name in NAMED[kind] ? table[NAMED[kind][name]] ?? NAMED[kind][name] : name)

/** All of a kind as [name, what it is called]. */
export const allOf = (kind) => Object.keys(NAMED[kind]).map((name) => [name, called(kind, name)])

/** “Fetch”, or `3 nodes`. */
export const named = (nodes, titleOf) => (nodes.length === 1 ? say('quoted', titleOf(nodes[0])) : say('nodes', nodes.length))

/** An hour or a day as the reader's language shows it. */
export const clock = (date) => date.toLocaleTimeString(dataset.words ? lang : 'en-GB')
export const day = (date, options) => date.toLocaleDateString(dataset.words ? lang : 'en-GB', options)
