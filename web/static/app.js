// Every page: htmx (behind its shim), copying, the reader's time zone, the reader's keys, a new workflow.
import './shim.js'
import 'htmx.org'
import './copy.js'
import './zone.js'
import './keycaps.js'
import './new.js'
