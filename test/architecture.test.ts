import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** Which folder may import which. Type-only imports count too. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  oci: ['core'],
  native: ['core'],
  'registry-client': ['oci', 'core'],
  storage: ['oci', 'native', 'core'],
  runtime: ['native', 'core'],
  builder: ['storage', 'runtime', 'registry-client', 'oci', 'core'],
  src: ['builder', 'storage', 'runtime', 'registry-client', 'oci', 'native', 'core'],
}
const folders = Object.keys(mayImport)
/** These have no index.ts: their files are imported one by one. */
const openFolders = ['core', 'oci']

/** Mechanisms that have one owner, by a pattern over the source text. */
const owners: readonly { readonly what: string; readonly pattern: RegExp; readonly files: readonly RegExp[] }[] = [
  { what: 'loading a native addon', pattern: /\.node['"`]/u, files: [/^native\/addon\.ts$/u] },
  { what: 'node:sqlite', pattern: /from 'node:sqlite'/u, files: [/^storage\/records\/database\.ts$/u, /^builder\/attest\/packages\/rpm\.ts$/u] },
  { what: 'console, process.exit, process.argv', pattern: /\bconsole\.|\bprocess\.(?:exit|argv|stdout|stderr)\b/u, files: [/^src\//u] },
  { what: 'child_process', pattern: /from 'node:child_process'/u, files: [/^registry-client\/credential-helper\.ts$/u, /^runtime\/rootless\/id-mapping\.ts$/u, /^runtime\/oci\/hooks\.ts$/u, /^builder\/context\/git\.ts$/u, /^builder\/archive\/open-compressed\.ts$/u, /^src\//u] },
  // In the command, which runs from kept code, Node warns of it; process.getBuiltinModule does the same.
  { what: 'a builtin module imported at run time', pattern: /\bimport\('node:/u, files: [] },
  { what: 'HTTP requests', pattern: /'node:https?'|\bfetch\(/u, files: [/^registry-client\/(?:transport|http\/(?:connector|large-reads|proxied))\.ts$/u, /^builder\/context\/download\.ts$/u, /^builder\/record\/trace\.ts$/u] },
]
const bannedNames = /^(?:utils?|helpers?|common|misc|types|constants|manager|service)\.ts$/u

interface Source { readonly path: string; readonly text: string; readonly imports: readonly string[] }

function listSources(folder: string): Source[] {
  const full = join(root, folder)
  if (!existsSync(full)) return []
  return readdirSync(full, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.includes('node_modules'))
    .map((path) => readSource(join(folder, path)))
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/gu)].map((match) => match[1] ?? '')
  return { path, text, imports: specifiers.map((specifier) => relative(root, resolve(root, dirname(path), specifier))) }
}

function folderOf(path: string): string {
  return path.split('/')[0] ?? ''
}

const sources = folders.flatMap(listSources)

describe('the import graph', () => {
  it('reads the sources', () => {
    expect(sources.length).toBeGreaterThan(10)
    expect(sources.some((source) => source.imports.length > 0)).toBe(true)
  })

  it('points only where the table allows', () => {
    const wrong = sources.flatMap((source) => source.imports
      .filter((target) => folderOf(target) !== folderOf(source.path) && mayImport[folderOf(source.path)]?.includes(folderOf(target)) !== true)
      .map((target) => `${source.path} imports ${target}`))
    expect(wrong).toEqual([])
  })

  it('enters other folders through their index.ts', () => {
    const wrong = sources.flatMap((source) => source.imports
      .filter((target) => folderOf(target) !== folderOf(source.path) && !openFolders.includes(folderOf(target)) && target !== `${folderOf(target)}/index.ts`)
      .map((target) => `${source.path} imports ${target}`))
    expect(wrong).toEqual([])
  })

  it('has no cycle', () => {
    expect(findCycle(new Map(sources.map((source) => [source.path, source.imports])))).toEqual([])
  })
})

describe('the sources', () => {
  it('keep each mechanism with its owner', () => {
    const wrong = owners.flatMap(({ what, pattern, files }) => sources
      .filter((source) => pattern.test(source.text) && !files.some((file) => file.test(source.path)))
      .map((source) => `${source.path} uses ${what}`))
    expect(wrong).toEqual([])
  })

  it('are named after what they hold', () => {
    expect(sources.filter((source) => bannedNames.test(source.path.split('/').at(-1) ?? '')).map((source) => source.path)).toEqual([])
  })

  it('keep core small', () => {
    expect(listSources('core').length).toBeLessThanOrEqual(7)
  })
})

describe('the documents', () => {
  it('name only paths that exist', () => {
    const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...listMarkdown('docs')].filter((path) => existsSync(join(root, path)))
    const missing = documents.flatMap((document) => [...readFileSync(join(root, document), 'utf8').matchAll(/`((?:core|oci|native|storage|runtime|registry-client|builder|src|test|testdata|bench|scripts|docs|examples|packaging)\/[\w./-]+)`/gu)]
      .map((match) => match[1] ?? '')
      .filter((path) => !existsSync(join(root, path)))
      .map((path) => `${document} names ${path}`))
    expect(missing).toEqual([])
  })
})

function listMarkdown(folder: string): string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.md')).map((path) => join(folder, path))
}

/** The first cycle met, as the list of its files, or an empty list. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const visit = (node: string, path: readonly string[]): string[] => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    if (done.has(node)) return []
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...path, node])
      if (cycle.length > 0) return cycle
    }
    done.add(node)
    return []
  }
  for (const node of graph.keys()) {
    const cycle = visit(node, [])
    if (cycle.length > 0) return cycle
  }
  return []
}
