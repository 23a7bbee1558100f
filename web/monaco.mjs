// Builds the Code Editor (static/code/) with Monaco, so that it lives under the strict policy: where Monaco writes
// styles into HTML or makes style elements, they are set by script, or carry the page's nonce. Building takes long
// and its sources change seldom, so the result is kept beside the libraries.
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename } from 'node:path'
import { build } from 'esbuild'

const FILES = /monaco-editor[/\\]esm[/\\]vs[/\\](editor|base)[/\\].*\.js$/
const SANITISER = /dompurify/ // finds styles to take them away; it writes none
const PATCHED = 12 // files of this version of Monaco; another number means that it has to be looked at again
const HELPER = new URL('./static/code/styles.js', import.meta.url).pathname

const CHANGES = [
  [/([\w.$]+)\.innerHTML = ([^;]+);/g, (_, target, html) => `setHTML(${target}, ${html});`],
  [/([\w.$]+)\.insertAdjacentHTML\(('\w+'|"\w+"), ([^;]+)\);/g, (_, target, where, html) => `insertHTML(${target}, ${where}, ${html});`],
  [/const style = document\.createElement\('style'\);/g, (all) => `${all} style.nonce = NONCE;`],
  [/setAttribute\('style', (.+)\);$/gm, (_, css) => `style.cssText = ${css};`],
]

function strict(patched) {
  return {
    name: 'strict-policy',
    setup({ onLoad }) {
      onLoad({ filter: FILES }, ({ path }) => {
        const source = readFileSync(path, 'utf8')
        if (SANITISER.test(path)) return { contents: source }
        const contents = CHANGES.reduce((text, [pattern, change]) => text.replace(pattern, change), source)
        if (contents === source) return { contents: source }
        patched.add(path)
        return { contents: `import { NONCE, insertHTML, setHTML } from ${JSON.stringify(HELPER)};\n${contents}` }
      })
    },
  }
}

/** Put the Code Editor into dist/; what each of its sources is called there. */
export async function buildCodeEditor() {
  const sources = ['package-lock.json', 'monaco.mjs', ...readdirSync('static/code').sort().map((name) => `static/code/${name}`)]
  const total = createHash('sha256')
  for (const name of sources) total.update(name).update(readFileSync(name))
  const kept = `node_modules/.code-editor/${total.digest('hex').slice(0, 16)}`
  if (!existsSync(kept)) await buildInto(kept)
  cpSync(kept, 'dist', { recursive: true })
  return JSON.parse(readFileSync(`${kept}/code.json`, 'utf8'))
}

async function buildInto(folder) {
  const { writeFileSync } = await import('node:fs')
  rmSync('node_modules/.code-editor', { recursive: true, force: true })
  mkdirSync(`${folder}.new`, { recursive: true })
  const patched = new Set()
  const { metafile } = await build({
    entryPoints: { code: 'static/code/code.js', 'code.worker': 'static/code/worker.js' },
    outdir: `${folder}.new`,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    loader: { '.ttf': 'file' },
    legalComments: 'linked',
    metafile: true,
    plugins: [strict(patched)],
  })
  if (patched.size !== PATCHED) throw new Error(`${patched.size} files of Monaco write styles, not ${PATCHED}: look at them, then at monaco.mjs`)
  const names = {}
  for (const output of Object.keys(metafile.outputs)) {
    const name = basename(output)
    const source = /^(code(?:\.worker)?)-[^.]+\.(js|css)$/.exec(name)
    if (source) names[`${source[1]}.${source[2]}`] = name
  }
  writeFileSync(`${folder}.new/code.json`, JSON.stringify(names))
  renameSync(`${folder}.new`, folder)
}
