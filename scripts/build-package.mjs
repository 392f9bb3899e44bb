// Builds the package in the current folder: its sources to dist/, its licence beside them.
import { spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

rmSync('dist', { recursive: true, force: true })
const tsc = createRequire(import.meta.url)
  .resolve('typescript/package.json')
  .replace('package.json', 'bin/tsc')
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)
joinModules()
copyFileSync(fileURLToPath(new URL('../LICENSE', import.meta.url)), 'LICENSE')

/**
 * One file per entry, and one that holds what the main entry needs, without white space: each file more, and each
 * kilobyte, adds to a process's start. Dependencies stay imports; the packages among `devDependencies` that the sources
 * import are joined in.
 */
function joinModules() {
  const { exports, dependencies, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
  const entries = Object.values(exports).flatMap(({ default: file }) => file ?? [])
  const [main, ...others] = entries
  for (const entry of others) addImport(entry, main)
  const before = modules()
  const { metafile } = buildSync({
    entryPoints: entries,
    bundle: true,
    splitting: true,
    external: Object.keys({ ...dependencies, ...peerDependencies }),
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    minifyWhitespace: true,
    lineLimit: 120, // a line of a stack trace, or of a report of what is slow, then names a place
    ignoreAnnotations: true, // `sideEffects: false` would drop the import that joins the entries
    sourcemap: true,
    outdir: 'dist',
    outbase: 'dist',
    allowOverwrite: true,
    metafile: true,
    chunkNames: 'shared-[hash]',
    logLevel: 'warning',
  })
  for (const file of before) {
    if (file in metafile.outputs) continue
    rmSync(file)
    rmSync(`${file}.map`, { force: true })
  }
  for (const file of Object.keys(metafile.outputs)) if (file.endsWith('.map')) keepForeignSources(file)
  keepLicences(Object.keys(metafile.inputs))
}

/** An entry that imports the main one shares all of it: esbuild then makes one file of it, not one per set of entries. */
function addImport(entry, main) {
  const path = relative(dirname(entry), main).replaceAll('\\', '/')
  const from = path.startsWith('.') ? path : `./${path}`
  writeFileSync(entry, `import '${from}'; ${readFileSync(entry, 'utf8')}`) // on its first line, so that its map holds
}

/** Our own sources are published, so a map need not hold them too; those of joined in packages are not. */
function keepForeignSources(file) {
  const map = JSON.parse(readFileSync(file, 'utf8'))
  const contents = map.sources.map((source, place) =>
    source.includes('node_modules/') ? map.sourcesContent[place] : null,
  )
  const { sourcesContent, ...rest } = map
  writeFileSync(file, JSON.stringify(contents.some(Boolean) ? { ...rest, sourcesContent: contents } : rest))
}

/** Those that joined in packages ask to be handed on. */
function keepLicences(inputs) {
  const folders = new Set(inputs.flatMap((file) => /.*node_modules\/(@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []))
  const licences = Array.from(folders, (folder) => {
    const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
    const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file))
    return `${name} ${version}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`
  })
  if (licences.length > 0) writeFileSync('dist/LICENSES', licences.sort().join(`\n${'-'.repeat(80)}\n\n`))
}

function modules() {
  const files = readdirSync('dist', { recursive: true }).map((file) => `dist/${file.replaceAll('\\', '/')}`)
  return files.filter((file) => file.endsWith('.js'))
}
