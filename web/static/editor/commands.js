// Every act by its name: for the toolbar's buttons (data-do), the keys, and “find or do”.
import { ask, post } from '../ask.js'
import { openTab } from '../bench.js'
import { spotBelow, spotIn, takers } from './bodies.js'
import { listenToConnect, openConnect } from './connect.js'
import { Finder } from './finder.js'
import { behindNode, refusal } from './rules.js'
import { toast } from './toasts.js'
import { called, clock, say } from '../words.js'

/** The acts. `context` holds the editor's parts. */
export function makeCommands({ store, board, view, actions, bench, palette, notes, runs, code, pasteText }) {
  const sheet = document.getElementById('keys')
  const commands = {
    add: () => palette.open(behindSelection()),
    put: (entry) => palette.put(entry, behindSelection()),
    note: () => notes.add(),
    group: () => notes.group(),
    undo: () => store.undo(),
    redo: () => store.redo(),
    tidy: () => actions.tidy(),
    keys: () => (sheet.open ? sheet.close() : sheet.showModal()),
    delete: () => actions.remove(),
    duplicate: () => actions.duplicate(),
    copy: () => document.execCommand('copy'),
    all: () => board.select(store.doc.nodes.map(({ id }) => id)),
    toggle: () => actions.toggle(),
    'align-left': () => actions.align('left'),
    'align-top': () => actions.align('top'),
    spread: () => actions.align('spread'),
    rename: () => rename(),
    fit: () => view.fit(),
    'fit-selection': () => view.fit([...board.selected].map((id) => board.boxes.get(id))),
    'life-size': () => view.zoom(1 / view.scale),
    'zoom-in': () => view.zoom(1.25),
    'zoom-out': () => view.zoom(0.8),
    outline: () => toggleOutline(),
    bench: () => document.body.classList.toggle('is-closed'),
    open: (event) => open(event),
    leave: () => leave(),
    run: () => runs.start(),
    'run-node': () => board.current && runs.part(board.current, 'alone'),
    'run-to': () => board.current && runs.part(board.current, 'to'),
    'run-from': () => board.current && runs.part(board.current, 'from'),
    'run-clear': () => runs.clear(),
    'connect-to': () => finder.choose(say('connectTo'), targets()),
    'disconnect-from': () => finder.choose(say('disconnectFrom'), links((edge) => actions.disconnect(edge))),
    'insert-on': () => finder.choose(say('insertOn'), links((edge) => palette.open({ from: edge.from, port: edge.port, edge }))),
    'into-loop': () => intoLoop(),
    'wrap-loop': () => palette.ready.then(() => actions.wrap(palette.entry('loop.for_each'))),
    'out-of-loop': () => outOfLoop(),
    'go-runs': () => location.assign(`/workflows/${store.id}/runs`),
    'go-versions': () => location.assign(`/workflows/${store.id}/versions`),
    pin: () => bench.togglePin(),
    'pin-edit': () => bench.editPin(),
    'pin-leave': () => bench.editPin(false),
    publish: () => publish(),
    unpublish: () => unpublish(),
    find: () => finder.open(),
    'drop-field': ({ target }) => mendField(target.closest('[data-from]').dataset),
    'move-field': ({ target }) => mendField(target.closest('[data-from]').dataset),
    'try-code': () => code.tryIt(),
    connect: () => openConnect(store, board),
    settings: () => { board.select([]); openTab('node') },
    export: () => location.assign(`/workflows/${store.id}/export`),
    import: () => file.click(),
    'copy-workflow': () => copyWorkflow(),
    'delete-workflow': () => deleteWorkflow(),
    'next-problem': () => problem(1),
    'previous-problem': () => problem(-1),
    told: (why, label) => toast(say(why, label)),
  }
  const finder = new Finder(board, view, commands, palette)

  board.canvas.addEventListener('contextmenu', async (event) => {
    const id = event.target.closest('[data-node]:not(.edge)')?.dataset.node
    if (!id) return
    event.preventDefault()
    board.select([id])
    await bench.show()
    const menu = document.querySelector('#bench-who .menu')
    if (!menu) return
    menu.open = true
    // The node's own menu, where the pointer is.
    const list = menu.querySelector('.menu-list')
    list.classList.add('is-here')
    const { width, height } = list.getBoundingClientRect()
    list.style.left = `${Math.min(event.clientX, innerWidth - width - 8)}px`
    list.style.top = `${Math.min(event.clientY, innerHeight - height - 8)}px`
    menu.addEventListener('toggle', () => {
      if (menu.open) return
      list.classList.remove('is-here')
      list.style.left = list.style.top = ''
    })
  })
  const file = document.getElementById('import-file')
  file.addEventListener('change', async () => {
    if (file.files[0]) pasteText(await file.files[0].text(), file.files[0].name)
    file.value = ''
  })
  document.addEventListener('click', (event) => {
    for (const menu of document.querySelectorAll('.menu[open]')) if (!menu.contains(event.target) || event.target.closest('.menu-item')) menu.open = false
    const button = event.target.closest('[data-do]')
    if (button) commands[button.dataset.do]?.(event)
    const chosen = event.target.closest('[data-select]')
    if (chosen) {
      event.preventDefault()
      board.select([chosen.dataset.select])
      view.reveal(board.element(chosen.dataset.select), board.boxes.get(chosen.dataset.select))
    }
    const row = event.target.closest('#outline [data-open]')
    if (row) {
      event.preventDefault()
      board.select([row.dataset.open])
      document.body.classList.add('has-sheet')
    }
    const mend = event.target.closest('[data-mend]')
    if (mend) {
      board.select([mend.dataset.mend].filter(Boolean))
      openTab('node')
      bench.show().then(() => bench.focusField(mend.dataset.field))
    }
    const given = event.target.closest('[data-input-of]')
    if (given) runs.takeInput(given.dataset.inputOf)
    if (event.target.closest('[data-close]')) event.target.closest('dialog').close()
    const start = event.target.closest('[data-start]')
    if (start) actions.add(palette.entry(start.dataset.start), { at: { x: 0, y: 0 } }) && view.fit()
  })
  document.addEventListener('submit', (event) => {
    if (event.target.id !== 'pin-form') return
    event.preventDefault()
    bench.savePin()
  })
  document.addEventListener('toggle', (event) => { if (event.target.id === 'run-with' && event.target.open) offerInputs() }, true)
  document.getElementById('rename-workflow').addEventListener('click', renameWorkflow)
  listenToConnect(store, board, actions, bench)
  const narrow = matchMedia('(max-width: 860px)')
  if (narrow.matches) bringOutline()
  narrow.addEventListener('change', () => { if (narrow.matches) bringOutline() })
  board.addEventListener('select', showSelection)
  showSelection()
  return commands

  function behindSelection() {
    const behind = behindNode(board, board.current)
    return behind ? { ...behind, near: board.element(behind.from) } : {}
  }

  /** All that can come behind the chosen node, by port: for hands that cannot draw a line. */
  function targets() {
    const from = board.current
    const ports = board.boxes.get(from)?.ports ?? []
    return ports.flatMap((port) => store.doc.nodes.filter(({ id }) => !refusal(board, from, port, id)).map(({ id }) => ({
      words: board.titleOf(id), hint: ports.length > 1 ? `by “${port}”` : '', run: () => actions.connect(from, port, id),
    })))
  }

  /** The connections of the chosen node as rows; all of the workflow's, without one. */
  function links(run) {
    const { current } = board
    const found = board.links().filter(({ from, to }) => !current || from === current || to === current)
    return found.map((edge) => ({ words: `${board.titleOf(edge.from)} → ${board.titleOf(edge.to)}`, hint: edge.port === 'main' ? '' : called('way', edge.port), run: () => run(edge) }))
  }

  function intoLoop() {
    const id = board.current
    const found = id && board.element(id).querySelector(':scope > .port-in') ? takers(board, id) : []
    if (!found.length) return toast(say('noLoop'))
    return finder.choose(say('intoWhich'), found.map((tray) => ({ words: board.titleOf(tray), hint: '', run: () => actions.putInto(id, tray, spotIn(board, id, tray)) })))
  }

  function outOfLoop() {
    const loop = board.boxes.get(board.current)?.loop
    if (!loop) return toast(say('notInLoop'))
    return actions.takeOut(board.current, loop, spotBelow(board, board.current, loop))
  }

  function showSelection() {
    const many = board.selected.size > 1
    document.getElementById('selbar').hidden = !many
    document.getElementById('sel-n').textContent = say('nodes', board.selected.size)
  }

  function open(event) {
    const id = event.target.closest('[data-open]').dataset.open
    board.select([id], { quiet: true })
    bench.show({ focus: true })
  }

  function leave() {
    const inBench = document.getElementById('bench').contains(document.activeElement)
    if (inBench && board.current) return board.focus(board.current)
    return board.select([])
  }

  async function rename() {
    await bench.show()
    const button = document.querySelector('#bench-who [data-do="rename"]')
    const id = board.current
    if (!button || !id) return
    edit(button, store.node(id)?.name || board.titleOf(id), (name) => {
      const now = actions.rename(id, name)
      if (now === id) bench.show({ again: true })
    })
  }

  function renameWorkflow() {
    const button = document.getElementById('rename-workflow')
    const base = store.seq
    edit(button, store.doc.own.name ?? button.textContent, (name) => {
      if (actions.change(say('renamed', name), [{ kind: 'set', path: 'name', value: name, base }])) button.textContent = name
    })
  }

  function toggleOutline() {
    const on = document.body.classList.toggle('has-outline')
    if (on) bringOutline()
    document.querySelector('[data-do="outline"]').setAttribute('aria-pressed', on)
  }

  /** A field that its node's type does not have: taken out, or put where it was meant. */
  function mendField({ from, to }) {
    const node = board.current
    const value = from.split('.').reduce((found, key) => found?.[key], store.node(node))
    const moved = to ? [{ kind: 'set', node, path: to, value }] : []
    if (actions.change(say('set', from.split('.')[1]), [{ kind: 'unset', node, path: from }, ...moved])) bench.show({ again: true })
  }

  function problem(step) {
    const marked = store.doc.nodes.map(({ id }) => id).filter((id) => board.element(id).querySelector('.badge:not([hidden]):not(.badge-pin)'))
    if (!marked.length) return
    const next = marked[(marked.indexOf(board.current) + step + marked.length) % marked.length]
    board.select([next])
    view.reveal(board.element(next), board.boxes.get(next))
    board.focus(next)
  }

  async function copyWorkflow() {
    await store.flush()
    const { own, nodes, edges } = store.doc
    const { id, ...rest } = own
    const copy = { ...rest, name: `${own.name ?? store.id} (copy)`, nodes: nodes.map((node) => (node.type === 'trigger.webhook' ? { ...node, config: { ...node.config, path: undefined } } : node)), edges }
    const answer = await sent('/api/v1/workflows', copy)
    const content = await answer?.json().catch(() => ({}))
    if (answer?.ok) location.assign(`/workflows/${content.workflow.id}`)
    else toast(content?.detail ?? say('noServer'))
  }

  /** Put in the trash as the list does it, and on to the list, which says so and offers to take it back. */
  async function deleteWorkflow() {
    await store.flush()
    const answer = await sent('/workflows/bulk', { act: 'delete', id: [store.id] })
    if (answer?.ok) location.assign(answer.url)
    else if (answer) toast((await answer.json().catch(() => ({}))).detail ?? say('noServer'))
  }

  /** The last runs, to run with the input of one of them. */
  async function offerInputs() {
    const list = document.getElementById('run-inputs')
    const response = await ask(`/api/v1/executions?workflow=${store.id}&limit=12`)
    const items = response?.ok ? (await response.json()).items : []
    list.replaceChildren(...items.map(({ number, state, created }) => {
      const button = document.createElement('button')
      button.type = 'button'
      button.className = 'menu-item'
      button.dataset.inputOf = number
      button.setAttribute('role', 'menuitem')
      button.textContent = say('asInRun', String(number), called('state', state).toLowerCase(), clock(new Date(created / 1000)))
      return button
    }))
    if (!items.length) list.textContent = say('notRunYet')
  }

  /** A large workflow's outline comes when it is first looked at. */
  function bringOutline() {
    if (store.wantsOutline) return
    store.wantsOutline = true
    if (!document.querySelector('#outline .olist')) store.pull(true)
  }

  async function publish() {
    await store.flush()
    const answer = await sent(`/api/v1/workflows/${store.id}/publish`)
    if (!answer) return
    const content = await answer.json().catch(() => ({}))
    if (answer.ok) toast(say('published', String(content.number)))
    else refused(content)
    await store.pull(true)
  }

  async function unpublish() {
    const answer = await sent(`/api/v1/workflows/${store.id}/unpublish`)
    if (answer?.ok) toast(say('takenOff'), { label: say('publishAgain'), run: publish })
    await store.pull(true)
  }

  function refused(content) {
    openTab('problems')
    const count = content.problems?.length
    toast(count ? say('notPublishedYet', count) : content.detail ?? say('notPublished'))
  }

  async function sent(address, body) {
    const answer = await post(address, body)
    if (!answer) toast(say('noServer'))
    return answer
  }
}

/** Turn a button's words into a field until Enter, Esc or leaving it. */
export function edit(button, value, done) {
  const input = document.createElement('input')
  input.className = 'name-in'
  input.value = value
  input.setAttribute('aria-label', say('name'))
  button.hidden = true
  button.after(input)
  input.focus()
  input.select()
  let left = false
  const leave = (keep) => {
    if (left) return
    left = true
    const text = input.value.trim()
    input.remove()
    button.hidden = false
    if (keep && text && text !== value) done(text)
    else button.focus()
  }
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') leave(true)
    else if (event.key === 'Escape') leave(false)
    else return
    event.preventDefault()
    event.stopPropagation()
  })
  input.addEventListener('blur', () => leave(true))
}
