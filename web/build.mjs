// Bundles web/static into web/dist. Every file gets its content's hash in its name, so that a browser may
// keep it for ever; dist/manifest.json says which name stands for which source ("app.css" → "app-1a2b3c.css").
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, parse } from 'node:path'
import { build } from 'esbuild'
import { buildCodeEditor } from './monaco.mjs'

const ENTRIES = ['app.css', 'app.js', 'graph.js', 'editor.js']
const COPIES = ['icons.svg', 'favicon.svg']
const PRELOADED = /\.woff2$/

rmSync('dist', { recursive: true, force: true })
mkdirSync('dist')

const { metafile } = await build({
  entryPoints: ENTRIES.map((name) => `static/${name}`),
  outdir: 'dist',
  bundle: true,
  minify: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  loader: { '.woff2': 'file' },
  legalComments: 'linked',
  metafile: true,
})

const manifest = await buildCodeEditor()
for (const [output, { entryPoint, inputs }] of Object.entries(metafile.outputs)) {
  const source = entryPoint ?? Object.keys(inputs).find((name) => PRELOADED.test(name))
  if (source && !output.endsWith('.LEGAL.txt')) manifest[basename(source)] = basename(output)
}
const tables = readdirSync('languages').map((name) => `languages/${name}`)
for (const path of [...COPIES.map((name) => `static/${name}`), ...tables]) {
  const content = readFileSync(path)
  const { name: stem, ext, base: name } = parse(path)
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 8).toUpperCase()
  manifest[name] = `${stem}-${hash}${ext}`
  writeFileSync(`dist/${manifest[name]}`, content)
}
writeFileSync('dist/manifest.json', JSON.stringify(manifest, null, 2) + '\n')
