// A drawing that is only looked at: a run's, or the difference of two versions.
import { layOut } from './canvas/layout.js'
import { Edges } from './canvas/edges.js'
import { Sight } from './canvas/sight.js'
import { View } from './canvas/view.js'
import { listenToKeys } from './canvas/keys.js'
import { listenToTabs } from './bench.js'
import { listenToViews } from './views.js'
import { followRun } from './run/follow.js'
import { listenToVersions } from './versions.js'

const canvas = document.getElementById('canvas')
const world = document.getElementById('world')

listenToTabs()
listenToViews()
const boxes = await layOut(world)
const drawn = [...world.querySelectorAll('.edge')]
const edges = new Edges(world.querySelector('.edges'))
edges.sync(drawn.map(({ dataset: { from, port, to, mark } }) => ({ from, port, to, mark })), boxes)
for (const path of drawn) path.remove()
const view = new View(canvas, world, boxes)
const sight = new Sight(view, boxes, edges)
view.onChange = () => sight.soon()
canvas.addEventListener('click', (event) => { if (sight.isFar && sight.hit(event)) view.approach(boxes.get(sight.hit(event))) })
view.fit()
world.classList.add('is-laid')
listenToKeys(canvas, world, view)
if (document.getElementById('states')) followRun()
if (document.getElementById('versions')) listenToVersions()
