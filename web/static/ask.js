// How the pages' scripts ask the server for JSON. What comes is a Response, or null where nobody answers.
const JSON_ONLY = { Accept: 'application/json' }

/** Read. */
export const ask = (address) => fetch(address, { headers: JSON_ONLY }).catch(() => null)

/** Send a text or a file, as it is. */
export const send = (address, body, kind = 'application/json') => fetch(address, { method: 'POST', headers: { 'Content-Type': kind, ...JSON_ONLY }, body }).catch(() => null)

/** Send a value. */
export const post = (address, value = {}) => send(address, JSON.stringify(value))
