// “Find or do” (⌘K): the workflow's nodes by name, and every act by what it does.

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
const SHOWN = 9

export class Finder {
  #rows = []
  #offered = null
  #at = 0

  constructor(board, view, commands) {
    Object.assign(this, { board, view, commands })
    this.dialog = document.getElementById('finder')
    this.text = document.getElementById('find-text')
    this.list = document.getElementById('find-list')
    this.text.addEventListener('input', () => this.#search())
    this.text.addEventListener('keydown', (event) => this.#key(event))
    this.list.addEventListener('click', (event) => {
      const row = event.target.closest('[data-row]')
      if (row) this.#take(this.#rows[Number(row.dataset.row)])
    })
    this.dialog.addEventListener('click', (event) => { if (event.target === this.dialog) this.dialog.close() })
  }

  open() { this.choose('Find a node, or do something', null) }

  /** Let one of these be chosen: {words, hint, run}; null stands for all there is to find and to do. */
  choose(title, rows) {
    this.#offered = rows
    this.text.value = ''
    this.text.placeholder = title
    this.text.setAttribute('aria-label', title)
    this.dialog.showModal()
    this.#search()
  }

  #search() {
    const wanted = this.text.value.trim().toLowerCase()
    const fits = ({ words, hint }) => `${words} ${hint}`.toLowerCase().includes(wanted)
    this.#rows = (this.#offered ?? this.#everything()).filter(fits).slice(0, SHOWN)
    this.#at = 0
    this.#draw()
  }

  #everything() {
    const nodes = this.board.store.doc.nodes.map(({ id, type }) => ({ words: this.board.titleOf(id), hint: type, run: () => this.#show(id) }))
    const acts = DOES.map(([name, words]) => ({ words, hint: '', run: () => this.commands[name]({ target: document.body }) }))
    const places = PLACES.map(([address, words]) => ({ words, hint: 'go to', run: () => location.assign(address) }))
    return [...nodes, ...acts, ...places]
  }

  #draw() {
    this.list.replaceChildren(...this.#rows.map(({ words, hint }, index) => {
      const row = document.createElement('div')
      row.className = `qa-row${index === this.#at ? ' is-on' : ''}`
      row.id = `find-${index}`
      row.dataset.row = index
      row.setAttribute('role', 'option')
      row.setAttribute('aria-selected', index === this.#at)
      for (const [name, text] of [['qa-t', words], ['qa-s', hint]]) {
        const part = document.createElement('span')
        part.className = name
        part.textContent = text
        row.append(part)
      }
      return row
    }))
    this.text.setAttribute('aria-activedescendant', this.#rows.length ? `find-${this.#at}` : '')
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step && this.#rows.length) {
      this.#at = (this.#at + step + this.#rows.length) % this.#rows.length
      this.#draw()
    } else if (event.key === 'Enter') {
      this.#take(this.#rows[this.#at])
    } else {
      return
    }
    event.preventDefault()
  }

  #take(row) {
    if (!row) return
    this.dialog.close()
    row.run()
  }

  #show(id) {
    this.board.select([id])
    this.view.reveal(this.board.element(id), this.board.boxes.get(id))
    this.board.focus(id)
  }
}
