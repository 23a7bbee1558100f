// Pages with a canvas: lay the workflow out, let it be moved; then what the page itself does.
import { layOut } from './canvas/layout.js'
import { drawEdges } from './canvas/edges.js'
import { View } from './canvas/view.js'
import { listenToKeys } from './canvas/keys.js'
import { listenToTabs } from './bench.js'
import { listenToRun } from './start.js'
import { followRun } from './run/follow.js'

const canvas = document.getElementById('canvas')
const world = document.getElementById('world')

listenToTabs()
if (document.getElementById('panel-input')) listenToRun(document.getElementById('panel-input'))
const boxes = await layOut(world)
drawEdges(world, boxes)
const view = new View(canvas, world, boxes)
view.fit()
world.classList.add('is-laid')
listenToKeys(canvas, world, view)
if (document.getElementById('states')) followRun()
