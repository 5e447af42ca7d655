/**
 * Writes dist/: the command as one file, the library entry points as ES modules that share chunks, and the licences of
 * what they contain. One CommonJS file, whose modules are evaluated when first imported, starts soonest: a chunk costs the
 * loader of ES modules about 0.5 ms, and a facade over each of Node's own modules loads what nobody asked for.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const out = join(root, 'dist')
const libraries = ['builder', 'storage', 'registry-client', 'runtime'].filter((name) => existsSync(join(root, name, 'index.ts')))

/** The packages whose code went into the bundle. */
function bundledPackages(...metafiles: readonly Metafile[]): string[] {
  const names = metafiles.flatMap(({ inputs }) => Object.keys(inputs)).map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//u.exec(path)?.[1])
  return [...new Set(names.filter((name) => name !== undefined))].sort()
}

function licenceOf(name: string): string {
  const folder = join(root, 'node_modules', name)
  const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string; license: string }
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/iu.test(entry))
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8')
  return `${name} ${version} (${license})\n\n${text.trim()}\n`
}

rmSync(out, { recursive: true, force: true })
const common = {
  absWorkingDir: root,
  outdir: out,
  bundle: true,
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  // What starts the command reads it byte by byte.
  charset: 'ascii',
  legalComments: 'none',
  metafile: true,
} as const
const command = await build({
  ...common,
  entryPoints: { cli: 'src/main.ts' },
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  define: { 'import.meta.dirname': '__dirname', 'import.meta.url': '__filename' },
})
const library = await build({
  ...common,
  entryPoints: Object.fromEntries(libraries.map((name) => [name, `${name}/index.ts`])),
  splitting: true,
  format: 'esm',
  chunkNames: 'chunks/[name]-[hash]',
  // CommonJS packages inside an ES module need a require for Node's own modules.
  banner: { js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);" },
})
const page = await build({
  absWorkingDir: root,
  entryPoints: [{ in: 'src/report/page/main.ts', out: 'report-page' }, { in: 'src/report/page/page.css', out: 'report-page' }],
  outdir: out,
  bundle: true,
  format: 'iife',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  metafile: true,
})
writeFileSync(join(out, 'LICENSES.txt'), bundledPackages(command.metafile, library.metafile, page.metafile).map(licenceOf).join(`\n${'-'.repeat(80)}\n\n`))
