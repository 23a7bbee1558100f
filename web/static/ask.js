// How the pages' scripts ask the server for JSON. What comes is a Response, or null where nobody answers.
const JSON_ONLY = { Accept: 'application/json' }
// A page that says for whom it was opened asks as them alone, whoever has signed in in this browser since.
const whose = document.querySelector('[data-whose]')?.dataset.whose

const asked = (address) => {
  const url = new URL(address, location)
  if (whose) url.searchParams.set('whose', whose)
  return url
}

/** Read. */
export const ask = (address) => fetch(asked(address), { headers: JSON_ONLY }).catch(() => null)

/** Send a text or a file, as it is. */
export const send = (address, body, kind = 'application/json') => fetch(asked(address), { method: 'POST', headers: { 'Content-Type': kind, ...JSON_ONLY }, body }).catch(() => null)

/** Send a value. */
export const post = (address, value = {}) => send(address, JSON.stringify(value))
