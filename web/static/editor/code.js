// The code node's field: the Code Editor over its text box, loaded when the first such field is shown.

import { post } from '../ask.js'
import { say } from '../words.js'

export class CodeField {
  #open
  #module

  /** `assets` holds the addresses of the editor's script, styles and worker. */
  constructor(store, bench, palette, assets) {
    Object.assign(this, { store, bench, palette, assets })
    document.addEventListener('form-shown', () => this.#show())
  }

  async #show() {
    const box = document.querySelector('#form [data-code]')
    if (box && box === this.#open?.box) return
    this.#open?.editor.dispose()
    this.#open = undefined
    if (!box || matchMedia('(max-width: 860px)').matches) return
    this.#module ??= this.#load()
    const [{ open }] = await Promise.all([this.#module, this.palette.ready])
    if (!box.isConnected || this.#open?.box === box) return
    const editor = open(box, { inputs: () => this.#inputs(), modules: this.palette.modules, check: (source) => this.#check(source), workerAddress: this.assets.codeWorker })
    this.#open = { box, editor }
  }

  #load() {
    const styles = document.createElement('link')
    styles.rel = 'stylesheet'
    styles.href = this.assets.codeCss
    document.head.append(styles)
    return import(this.assets.code)
  }

  /** The globals of the source with what is known of their values. */
  #inputs() {
    const { inputs = {} } = this.store.node(this.bench.shown)?.config ?? {}
    return Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, this.#sample(value)]))
  }

  #sample(value) {
    const path = /^\{\{\s*([\w.]+)\s*\}\}$/.exec(value)?.[1]
    if (!path) return typeof value === 'string' && value.includes('{{') ? undefined : value
    return path.split('.').reduce((found, key) => found?.[key], this.bench.names)
  }

  async #check(source) {
    const answer = await this.#ask('check', source)
    return answer?.problems ?? []
  }

  /** Run the source as it stands on the inputs that it would have had. */
  async tryIt() {
    const box = document.querySelector('#form [data-code]')
    const [said, out] = [document.querySelector('[data-code-said]'), document.querySelector('[data-code-out]')]
    if (!box) return
    said.textContent = say('running')
    await this.store.flush()
    const began = performance.now()
    const answer = await this.#ask('try', box.value)
    if (!out.isConnected) return
    said.textContent = answer ? `${Math.round(performance.now() - began)} ms` : say('noAnswer')
    const { result = '', printed = '', error } = answer ?? {}
    out.hidden = !answer
    out.classList.toggle('is-wrong', Boolean(error))
    const where = error?.line ? say('line', error.line) : ''
    out.textContent = [printed.trimEnd(), error ? `${where}${error.message}${error.excerpt ? `\n${error.excerpt}` : ''}` : result].filter(Boolean).join('\n')
  }

  async #ask(what, source) {
    const { path = '', run = '' } = this.bench.panel.querySelector('.bench')?.dataset ?? {}
    const body = { node: this.bench.shown, source, path, ...(run && { run: Number(run) }) }
    const response = await post(`/workflows/${this.store.id}/code/${what}`, body)
    return response?.ok ? response.json() : null
  }
}
