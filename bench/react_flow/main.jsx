// The same graph in React Flow: what FlowFuse's canvas is held against. Reads graph.json beside it.
import { createRoot } from 'react-dom/client'
import { Background, Handle, MiniMap, Position, ReactFlow } from '@xyflow/react'
import '@xyflow/react/dist/style.css'
import './main.css'

function Card({ data }) {
  return (
    <div className="card">
      <Handle type="target" position={Position.Left} />
      <span className="tile" />
      <span><b>{data.title}</b><small>{data.words}</small></span>
      <Handle type="source" position={Position.Right} />
    </div>
  )
}

const graph = await (await fetch('/graph.json')).json()
const nodes = graph.nodes.map(({ id, name, position }) => ({ id, type: 'card', position, data: { title: name ?? id, words: 'hello input' } }))
const edges = graph.edges.map(({ from, to }) => ({ id: `${from}-${to}`, source: from, target: to }))

createRoot(document.getElementById('root')).render(
  <ReactFlow
    defaultNodes={nodes} defaultEdges={edges} nodeTypes={{ card: Card }} fitView minZoom={0.05} selectionKeyCode="Shift"
    onInit={() => requestAnimationFrame(() => { document.documentElement.dataset.ready = 'yes' })}
  >
    <Background /><MiniMap />
  </ReactFlow>,
)
