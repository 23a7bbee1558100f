// A dialog in which one types, and takes one of a few rows: {words, hint, run}.

import { say } from './words.js'

const SHOWN = 9

export class Choices {
  #rows = []
  #at = 0
  #asked = 0

  #searched // done when the rows that are shown fit what is typed

  /** `find(typed)` gives the rows that fit, at once or by a promise; null leaves those that are shown. What it
   *  promises as `rows.more` is put behind them when it comes. */
  constructor(dialog, find) {
    Object.assign(this, { dialog, find, text: dialog.querySelector('#find-text'), list: dialog.querySelector('#find-list') })
    this.text.addEventListener('input', () => { this.#searched = this.#search() })
    this.text.addEventListener('keydown', (event) => this.#key(event))
    this.list.addEventListener('click', (event) => {
      const row = event.target.closest('[data-row]')
      if (row) this.#take(this.#rows[Number(row.dataset.row)])
    })
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close() })
  }

  open() {
    if (this.dialog.open) return
    this.text.value = ''
    this.dialog.showModal()
    this.#searched = this.#search()
  }

  async #search() {
    const mine = ++this.#asked
    const rows = await this.find(this.text.value.trim())
    if (mine !== this.#asked || !rows) return
    this.#rows = rows.slice(0, SHOWN)
    this.#at = 0
    this.#draw()
    rows.more?.then((more) => {
      if (mine !== this.#asked || !more) return
      this.#rows = [...rows, ...more].slice(0, SHOWN)
      this.#draw()
    })
  }

  #draw() {
    this.list.replaceChildren(...this.#rows.map(({ words, hint }, index) => {
      const row = document.createElement('div')
      row.className = `qa-row${index === this.#at ? ' is-on' : ''}`
      row.id = `find-${index}`
      row.dataset.row = index
      row.setAttribute('role', 'option')
      row.setAttribute('aria-selected', index === this.#at)
      for (const [name, shown] of [['qa-t', words], ['qa-s', hint]]) {
        const part = document.createElement('span')
        part.className = name
        part.textContent = shown
        row.append(part)
      }
      return row
    }))
    if (!this.#rows.length && this.text.value.trim()) {
      const none = document.createElement('p')
      none.className = 'qa-none'
      none.textContent = say('nothingFits', this.text.value.trim())
      this.list.append(none)
    }
    this.text.setAttribute('aria-activedescendant', this.#rows.length ? `find-${this.#at}` : '')
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step && this.#rows.length) {
      this.#at = (this.#at + step + this.#rows.length) % this.#rows.length
      this.#draw()
    } else if (event.key === 'Enter') {
      this.#searched.then(() => this.#take(this.#rows[this.#at]))
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
}
