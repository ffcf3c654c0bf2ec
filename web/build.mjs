// Builds the page: node web/build.mjs [folder]. Scripts and styles get names with a hash of their content, and the
// shell is written with those names; the other templates are copied as they are.
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync } from 'node:zlib'
import * as esbuild from 'esbuild'

const source = fileURLToPath(new URL('.', import.meta.url))
const target = process.argv[2] ?? join(source, '..', 'chalicelib', 'web')
const FIRST = 18_500 // bytes compressed of script and style with which the page begins; the rest comes with the first result
const LATER = 12_000 // of D3
const ALL = 47_500 // of all that the page loads; docs/adr/0007 says why it is that much

const { outputFiles, metafile } = await esbuild.build({
  entryPoints: ['src/main.js', 'style.css', 'docs.js', 'docs.css', 'icon.svg'].map((name) => join(source, name)),
  bundle: true,
  minify: true,
  splitting: true,
  write: false,
  metafile: true,
  format: 'esm',
  target: ['es2022', 'chrome112', 'firefox115', 'safari16.4'],
  charset: 'utf8',
  legalComments: 'none',
  loader: { '.svg': 'copy' },
  outdir: target,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  absWorkingDir: source,
})

const names = new Map() // from a source's name to the built one's
for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) if (entryPoint) names.set(basename(entryPoint), basename(path))
for (const { path } of outputFiles) if (basename(path).startsWith('icon-')) names.set('icon.svg', basename(path))
const output = (name) => Object.entries(metafile.outputs).find(([path]) => basename(path) === names.get(name))[1]
const shared = output('main.js').imports.filter(({ kind }) => kind === 'import-statement').map(({ path }) => basename(path))
if (shared.length !== 1) throw new Error(`The first view has one shared script, not ${shared.length}.`)
names.set('shared.js', shared[0])
const squeezed = new Map(outputFiles.map(({ path, contents }) => [basename(path), brotliCompressSync(contents)])) // as browsers get them
const sizes = new Map([...squeezed].map(([name, { length }]) => [name, length]))
for (const [name, bytes] of sizes) console.log(`${name}: ${bytes} bytes compressed`)
const first = ['main.js', 'shared.js', 'style.css'].reduce((sum, name) => sum + sizes.get(names.get(name)), 0)
const later = sizes.get(names.get('d3.js'))
const all = [...sizes].reduce((sum, [name, bytes]) => (/^(icon|docs)-/.test(name) ? sum : sum + bytes), 0)
console.log(`script and style: ${first} bytes compressed of ${FIRST}; D3: ${later} of ${LATER}; all: ${all} of ${ALL}`)
if (first > FIRST || later > LATER || all > ALL) process.exit(1)

// Made beside the old one and moved in its place, so that a server that starts meanwhile finds one or the other.
const making = `${target}.${process.pid}`
await cp(join(source, 'templates'), making, { recursive: true })
for (const shell of ['index.html', 'docs.html', 'problem.html']) {
  let text = await readFile(join(source, 'templates', shell), 'utf8')
  for (const [name, built] of names) text = text.replaceAll(`{{${name}}}`, built)
  await writeFile(join(making, shell), text)
}
await mkdir(join(making, 'assets'))
for (const { path, contents } of outputFiles.filter(({ path }) => extname(path))) {
  const file = join(making, 'assets', basename(path))
  await writeFile(file, contents)
  if (extname(path) !== '.svg') await writeFile(`${file}.br`, squeezed.get(basename(path)))
}
await rm(target, { recursive: true, force: true })
await rename(making, target)
