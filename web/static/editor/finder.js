// “Find or do” (⌘K): the workflow's nodes by name, and every act by what it does.

import { Choices } from '../choices.js'

const DOES = [
  ['run', 'Run'], ['run-node', 'Run the chosen node alone'], ['run-to', 'Run up to the chosen node'], ['run-from', 'Run from the chosen node on'],
  ['add', 'Add a node'], ['note', 'Add a note'], ['group', 'Group the selection'], ['tidy', 'Tidy up'], ['undo', 'Undo'], ['redo', 'Redo'],
  ['duplicate', 'Duplicate'], ['toggle', 'Switch off or on'], ['delete', 'Delete'], ['all', 'Select all'], ['fit', 'Show all'],
  ['outline', 'Outline'], ['publish', 'Publish'], ['unpublish', 'Unpublish'], ['pin', 'Pin the output'], ['bench', 'Open or close the bench'], ['keys', 'Show all keys'],
]
const PLACES = [
  ['/', 'Home'], ['/workflows', 'Workflows'], ['/runs', 'Runs'], ['/inbox', 'Inbox'], ['/schedules', 'Schedules'], ['/webhooks', 'Webhooks'],
  ['/connections', 'Connections'], ['/templates', 'Templates'], ['/settings', 'Settings'], ['/help', 'Help'],
]

export class Finder {
  #offered = null

  constructor(board, view, commands) {
    Object.assign(this, { board, view, commands })
    this.choices = new Choices(document.getElementById('finder'), (typed) => this.#fitting(typed))
  }

  open() { this.choose('Find a node, or do something', null) }

  /** Let one of these be chosen: {words, hint, run}; null stands for all there is to find and to do. */
  choose(title, rows) {
    this.#offered = rows
    this.choices.text.placeholder = title
    this.choices.text.setAttribute('aria-label', title)
    this.choices.open()
  }

  #fitting(typed) {
    const wanted = typed.toLowerCase()
    return (this.#offered ?? this.#everything()).filter(({ words, hint }) => `${words} ${hint}`.toLowerCase().includes(wanted))
  }

  #everything() {
    const nodes = this.board.store.doc.nodes.map(({ id, type }) => ({ words: this.board.titleOf(id), hint: type, run: () => this.#show(id) }))
    const acts = DOES.map(([name, words]) => ({ words, hint: '', run: () => this.commands[name]({ target: document.body }) }))
    const places = PLACES.map(([address, words]) => ({ words, hint: 'go to', run: () => location.assign(address) }))
    return [...nodes, ...acts, ...places]
  }

  #show(id) {
    this.board.select([id])
    this.view.reveal(this.board.element(id), this.board.boxes.get(id))
    this.board.focus(id)
  }
}
