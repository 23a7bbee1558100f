// “Find or do” (⌘K): the workflow's nodes by name, and every act by what it does.

import { Choices } from '../choices.js'
import { allOf, say } from '../words.js'

export class Finder {
  #offered = null

  constructor(board, view, commands) {
    Object.assign(this, { board, view, commands })
    this.choices = new Choices(document.getElementById('finder'), (typed) => this.#fitting(typed))
  }

  open() { this.choose(say('findOrDo'), null) }

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
    const acts = allOf('act').map(([name, words]) => ({ words, hint: '', run: () => this.commands[name]({ target: document.body }) }))
    const places = allOf('place').map(([address, words]) => ({ words, hint: say('goTo'), run: () => location.assign(address) }))
    return [...nodes, ...acts, ...places]
  }

  #show(id) {
    this.board.select([id])
    this.view.reveal(this.board.element(id), this.board.boxes.get(id))
    this.board.focus(id)
  }
}
