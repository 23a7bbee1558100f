// Every page: htmx (behind its shim), copying, the reader's time zone, the reader's keys, a new workflow,
// “Find or do”, choosing several, and what asks for an act beside a list.
import './shim.js'
import htmx from 'htmx.org'
import './copy.js'
import './zone.js'
import './keycaps.js'
import './new.js'
import './palette.js'
import './lists.js'
import './restarting.js'

// What the reader has opened or shut stays so when a part of the page comes anew.
htmx.config.morphIgnore.push('open')
