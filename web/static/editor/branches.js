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

  /** Open again what was open. Whether rows have come for it, when all have. */
  async restore(part = this.panel) {
    const opened = []
    for (const branch of all(part)) {
      branch.open = this.#open.get(branch.dataset.at) ?? branch.open
      if (isDue(branch)) opened.push(this.#fill(branch))
    }
    await Promise.all(opened)
    return opened.length > 0
  }

  #toggled(branch) {
    if (isDue(branch)) this.#fill(branch)
  }

  async #fill(branch) {
    delete branch.dataset.later
    const rows = await this.bring(branch.dataset.at)
    if (!branch.isConnected) return
    if (rows === null) {
      branch.dataset.later = ''
      branch.open = false
      return
    }
    branch.insertAdjacentHTML('beforeend', rows)
    await this.restore(branch)
  }
}

const all = (part) => part.querySelectorAll('details[data-at]')
const isDue = (branch) => branch.open && branch.dataset.later !== undefined
