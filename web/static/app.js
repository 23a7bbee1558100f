// Every page: htmx (behind its shim), copying, the reader's time zone, the reader's keys, a new workflow,
// “Find or do”, choosing several, and what asks for an act beside a list.
import './shim.js'
import 'htmx.org'
import './copy.js'
import './zone.js'
import './keycaps.js'
import './new.js'
import './palette.js'
import './lists.js'
