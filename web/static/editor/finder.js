// “Find or do” (⌘K): the workflow's nodes by name, what can be added to it, every act by what it does, and all that
// is found on the other pages.

import { ask } from '../ask.js'
import { Choices } from '../choices.js'
import { allOf, say } from '../words.js'

export class Finder {
  #offered = null

  constructor(board, view, commands, palette) {
    Object.assign(this, { board, view, commands, palette })
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
    const fits = (rows) => rows.filter(({ words, hint }) => `${words} ${hint}`.toLowerCase().includes(wanted))
    if (this.#offered) return fits(this.#offered)
    const here = fits(this.#inHand())
    if (!wanted) return [...here, ...fits(this.#places())]
    const added = this.palette.found(typed).map((entry) => ({ words: entry.title, hint: say('addIt'), run: () => this.commands.put(entry) }))
    const rows = [...here.slice(0, 3), ...added.slice(0, 3)]
    rows.more = this.#elsewhere(typed).then((found) => [...found ?? fits(this.#places()), ...here.slice(3), ...added.slice(3)])
    return rows
  }

  /** Workflows, runs and pages, as the pages of lists find them; null where the server does not answer. */
  async #elsewhere(typed) {
    const answer = await ask(`/find?q=${encodeURIComponent(typed)}`)
    const found = answer?.ok ? await answer.json().catch(() => null) : null
    return found?.items.map(({ words, hint, address }) => ({ words, hint, run: () => location.assign(address) }))
  }

  #inHand() {
    const nodes = this.board.store.doc.nodes.map(({ id, type }) => ({ words: this.board.titleOf(id), hint: type, run: () => this.#show(id) }))
    const acts = allOf('act').map(([name, words]) => ({ words, hint: '', run: () => this.commands[name]({ target: document.body }) }))
    return [...nodes, ...acts]
  }

  #places() { return allOf('place').map(([address, words]) => ({ words, hint: say('goTo'), run: () => location.assign(address) })) }

  #show(id) {
    this.board.select([id])
    this.view.reveal(this.board.element(id), this.board.boxes.get(id))
    this.board.focus(id)
  }
}
