// The branches of the bench's values: what is closed gets its rows when it is opened, and what was open is open again.

export class Branches {
  #open = new Map()

  /** `bring` gives the rows at a path, or null. */
  constructor(panel, bring) {
    Object.assign(this, { panel, bring })
    panel.addEventListener('toggle', ({ target }) => this.#toggled(target), true)
  }

  /** Remember what is open now. */
  keep() {
    for (const branch of all(this.panel)) this.#open.set(branch.dataset.at, branch.open)
  }

  forget() { this.#open.clear() }

  restore(part = this.panel) {
    for (const branch of all(part)) branch.open = this.#open.get(branch.dataset.at) ?? branch.open
  }

  async #toggled(branch) {
    if (!branch.open || branch.dataset.later === undefined) return undefined
    delete branch.dataset.later
    const rows = await this.bring(branch.dataset.at)
    if (!branch.isConnected) return undefined
    if (rows !== null) {
      branch.insertAdjacentHTML('beforeend', rows)
      return this.restore(branch)
    }
    branch.dataset.later = ''
    branch.open = false
    return undefined
  }
}

const all = (part) => part.querySelectorAll('details[data-at]')
