// Every page: htmx (behind its shim), copying, the reader's time zone, the reader's keys.
import './shim.js'
import 'htmx.org'
import './copy.js'
import './zone.js'
import './keycaps.js'
