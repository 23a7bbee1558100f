// The document in the browser, and what each operation does to it. Nothing here changes a document in place:
// what has not changed is shared with the state before.

/** Apply one operation; [the new document, what undoes it]. Throws a Refusal where it cannot be. */
export function apply(doc, operation) {
  return KINDS[operation.kind](doc, operation)
}

export class Refusal extends Error {}

/** The node of that id, or undefined. */
export const nodeOf = (doc, id) => doc.nodes.find((node) => node.id === id)

/** What lies at a dotted path of a node, or of the workflow itself. */
export function at(target, path) {
  return path.split('.').reduce((value, key) => value?.[key], target)
}

export const sourceOf = (edge) => edge.from.split('.')[0]
export const portOf = (edge) => edge.from.split('.')[1] ?? 'main'
export const fromOf = (node, port) => (port === 'main' ? node : `${node}.${port}`)
export const sameEdge = (one, other) => one.to === other.to && sourceOf(one) === sourceOf(other) && portOf(one) === portOf(other)

const KINDS = {
  set(doc, { node, path, value }) {
    const before = at(target(doc, node), path)
    const changed = change(doc, node, (own) => put(own, path.split('.'), value))
    return [changed, before === undefined ? [{ kind: 'unset', node, path: firstMissing(target(doc, node), path) }] : [{ kind: 'set', node, path, value: before }]]
  },
  unset(doc, { node, path }) {
    const before = at(target(doc, node), path)
    if (before === undefined) return [doc, []]
    return [change(doc, node, (own) => drop(own, path.split('.'))), [{ kind: 'set', node, path, value: before }]]
  },
  add_node(doc, { path, value }) {
    if (nodeOf(doc, value.id)) throw new Refusal(`there is a node “${value.id}” already`)
    return [{ ...doc, nodes: insert(doc.nodes, path, value) }, [{ kind: 'remove_node', node: value.id }]]
  },
  remove_node(doc, { node }) {
    const place = doc.nodes.findIndex(({ id }) => id === node)
    if (place < 0) return [doc, []]
    const touches = (edge) => sourceOf(edge) === node || edge.to === node
    const back = doc.edges.flatMap((value, index) => (touches(value) ? [{ kind: 'add_edge', path: String(index), value }] : []))
    const rest = { ...doc, nodes: doc.nodes.toSpliced(place, 1), edges: doc.edges.filter((edge) => !touches(edge)) }
    return [rest, [{ kind: 'add_node', path: String(place), value: doc.nodes[place] }, ...back]]
  },
  rename_node(doc, { node, value }) {
    if (nodeOf(doc, value)) throw new Refusal(`there is a node “${value}” already`)
    const end = (id) => (id === node ? value : id)
    // A good guess until the server's answer comes: it reads expressions, this only looks for the name.
    const name = new RegExp(`\\b(nodes|loops)\\.${node}\\b`, 'g')
    const follow = (config) => config && JSON.parse(JSON.stringify(config).replace(name, `$1.${value}`))
    return [{
      ...doc,
      nodes: doc.nodes.map((each) => ({ ...each, id: end(each.id), ...(each.config && { config: follow(each.config) }) })),
      edges: doc.edges.map((edge) => ({ ...edge, from: fromOf(end(sourceOf(edge)), portOf(edge)), to: end(edge.to) })),
    }, [{ kind: 'rename_node', node: value, value: node }]]
  },
  add_edge(doc, { path, value }) {
    if (!nodeOf(doc, sourceOf(value)) || !nodeOf(doc, value.to)) throw new Refusal('a node of this connection is gone')
    if (doc.edges.some((edge) => sameEdge(edge, value))) return [doc, []]
    return [{ ...doc, edges: insert(doc.edges, path, value) }, [{ kind: 'remove_edge', value }]]
  },
  remove_edge(doc, { value }) {
    const place = doc.edges.findIndex((edge) => sameEdge(edge, value))
    if (place < 0) return [doc, []]
    return [{ ...doc, edges: doc.edges.toSpliced(place, 1) }, [{ kind: 'add_edge', path: String(place), value: doc.edges[place] }]]
  },
}

function target(doc, node) {
  if (!node) return doc.own
  const found = nodeOf(doc, node)
  if (!found) throw new Refusal(`the node “${node}” is gone`)
  return found
}

function change(doc, node, how) {
  const own = target(doc, node)
  if (!node) return { ...doc, own: how(own) }
  return { ...doc, nodes: doc.nodes.map((each) => (each === own ? how(own) : each)) }
}

function put(value, [key, ...rest], what) {
  const next = rest.length ? put(value?.[key] ?? {}, rest, what) : what
  return Array.isArray(value) ? value.with(Number(key), next) : { ...value, [key]: next }
}

function drop(value, [key, ...rest]) {
  if (!rest.length) {
    const { [key]: gone, ...kept } = value
    return kept
  }
  return { ...value, [key]: drop(value[key], rest) }
}

/** What a set makes, its undo takes away: the first key of the path that was not there. */
function firstMissing(own, path) {
  const keys = path.split('.')
  const made = keys.findIndex((_, index) => at(own, keys.slice(0, index + 1).join('.')) === undefined)
  return keys.slice(0, (made < 0 ? keys.length - 1 : made) + 1).join('.')
}

function insert(list, path, value) {
  const place = path === undefined || path === '' ? list.length : Math.min(Number(path), list.length)
  return list.toSpliced(place, 0, value)
}
