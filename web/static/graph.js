// A drawing that is only looked at: a run's, or the difference of two versions.
import { layOut } from './canvas/layout.js'
import { Edges } from './canvas/edges.js'
import { View } from './canvas/view.js'
import { listenToKeys } from './canvas/keys.js'
import { listenToTabs } from './bench.js'
import { followRun } from './run/follow.js'
import { listenToVersions } from './versions.js'

const canvas = document.getElementById('canvas')
const world = document.getElementById('world')

listenToTabs()
const boxes = await layOut(world)
const drawn = [...world.querySelectorAll('.edge')]
new Edges(world.querySelector('.edges')).sync(drawn.map(({ dataset: { from, port, to, mark } }) => ({ from, port, to, mark })), boxes)
for (const path of drawn) path.remove()
const view = new View(canvas, world, boxes)
view.fit()
world.classList.add('is-laid')
listenToKeys(canvas, world, view)
if (document.getElementById('states')) followRun()
if (document.getElementById('versions')) listenToVersions()
