// What must outlive the tab: operations that the server has not acknowledged, and the undo stack. IndexedDB,
// since what localStorage was given last is lost when the browser is killed.

const NAME = 'flowfuse'
let opening

function open() {
  opening ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1)
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore('pending', { keyPath: 'id' }).createIndex('workflow', 'workflow')
      asked.result.createObjectStore('stacks')
    }
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  })
  return opening
}

async function use(store, mode, work) {
  try {
    const database = await open()
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(store, mode)
      const asked = work(transaction.objectStore(store))
      transaction.oncomplete = () => resolve(asked?.result)
      transaction.onabort = transaction.onerror = () => reject(transaction.error)
    })
  } catch {
    // A private window may have no IndexedDB: then edits are only as safe as their way to the server is short.
    return undefined
  }
}

/** Keep operations until `forget`. `draft` says whose draft they change, `order` sorts them when they are read again. */
export const keep = (draft, operations) => use('pending', 'readwrite', (store) => {
  for (const operation of operations) store.put({ ...operation, workflow: draft })
})

/** The server has these. */
export const forget = (ids) => use('pending', 'readwrite', (store) => { for (const id of ids) store.delete(id) })

/** What was kept for a draft, by this tab or one that is gone, in its order. */
export async function pending(draft) {
  const found = await use('pending', 'readonly', (store) => store.index('workflow').getAll(draft))
  return (found ?? []).sort((one, other) => one.order - other.order)
}

export const saveStacks = (key, stacks) => use('stacks', 'readwrite', (store) => { store.put(stacks, key) })
export const loadStacks = (key) => use('stacks', 'readonly', (store) => store.get(key))
