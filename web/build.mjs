// Builds the page: node web/build.mjs [folder]. Scripts and styles get names with a hash of their content, and the
// shell is written with those names; the other templates are copied as they are.
import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import * as esbuild from 'esbuild'

const source = fileURLToPath(new URL('.', import.meta.url))
const target = process.argv[2] ?? join(source, '..', 'chalicelib', 'web')
const LIMIT = { bytes: 60_000, gzip: 20_000 } // of the script; the style sheet is a quarter of it
const numbers = join(source, 'src', 'd3-numbers.js')

const { outputFiles } = await esbuild.build({
  entryPoints: [join(source, 'src', 'main.js'), join(source, 'style.css')],
  bundle: true,
  minify: true,
  write: false,
  format: 'esm',
  target: ['es2022', 'chrome112', 'firefox115', 'safari16.4'],
  charset: 'utf8',
  legalComments: 'none',
  outdir: target,
  alias: { 'd3-interpolate': numbers, 'd3-format': numbers },
})
const files = outputFiles.map((file) => [basename(file.path), Buffer.from(file.contents)])
files.push(['icon.svg', await readFile(join(source, 'icon.svg'))])

let shell = await readFile(join(source, 'templates', 'index.html'), 'utf8')
const assets = files.map(([name, content]) => {
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 10)
  const named = name.replace(/(\.\w+)$/, `-${hash}$1`)
  const compressed = gzipSync(content, { level: 9 }).length
  console.log(`${named}: ${content.length} bytes, ${compressed} compressed`)
  if (name.endsWith('.js') && (content.length > LIMIT.bytes || compressed > LIMIT.gzip)) {
    console.error(`The script is larger than ${LIMIT.bytes} bytes, or ${LIMIT.gzip} compressed.`)
    process.exit(1)
  }
  shell = shell.replaceAll(`{{${name}}}`, named)
  return [named, content]
})

// Made beside the old one and moved in its place, so that a server that starts meanwhile finds one or the other.
const making = `${target}.${process.pid}`
await cp(join(source, 'templates'), making, { recursive: true })
await writeFile(join(making, 'index.html'), shell)
await mkdir(join(making, 'assets'))
for (const [name, content] of assets) await writeFile(join(making, 'assets', name), content)
await rm(target, { recursive: true, force: true })
await rename(making, target)
