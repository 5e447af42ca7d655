import { chmodSync, lutimesSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { ContextUnreadable } from './errors.ts'

/** Files by path, relative to the context: text, bytes, or either with more to say. */
export type ContextFiles = Readonly<Record<string, string | Uint8Array | ContextFile>>

export type ContextFile =
  | { readonly content: string | Uint8Array; readonly mode?: number }
  | { readonly linkTo: string }

/** A Dockerfile that is no file. */
export interface DockerfileText {
  readonly text: string
}

export interface ContextPaths {
  readonly context: string
  readonly dockerfile?: string
}

export interface MemoryContext extends Disposable {
  readonly paths: ContextPaths
}

const fileMode = 0o644
const folderMode = 0o755
/** The same files make the same layers whenever they are built. */
const modifiedAt = 0

/**
 * Writes what a program has in memory to a folder of its own, which is removed when it is disposed of: a build reads
 * it as any other. What is a path already stays one.
 * @throws {ContextUnreadable} for a path that leads out of the context
 */
export function openMemoryContext({ context, dockerfile }: { readonly context: string | ContextFiles; readonly dockerfile?: string | DockerfileText | undefined }): MemoryContext {
  if (typeof context === 'string' && typeof dockerfile !== 'object') {
    return { paths: { context, ...(dockerfile === undefined ? {} : { dockerfile }) }, [Symbol.dispose]: () => undefined }
  }
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-context-'))
  const dispose = (): void => { rmSync(folder, { recursive: true, force: true }) }
  try {
    const files = join(folder, 'context')
    mkdirSync(files, { mode: folderMode })
    if (typeof context !== 'string') writeFiles(files, context)
    const text = join(folder, 'Dockerfile')
    if (typeof dockerfile === 'object') writeFileSync(text, dockerfile.text)
    const path = typeof dockerfile === 'object' ? text : dockerfile
    return { paths: { context: typeof context === 'string' ? context : files, ...(path === undefined ? {} : { dockerfile: path }) }, [Symbol.dispose]: dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

function writeFiles(folder: string, files: ContextFiles): void {
  for (const [path, file] of Object.entries(files)) {
    const normal = posix.normalize(path)
    if (normal.startsWith('/') || normal === '..' || normal.startsWith('../') || normal.endsWith('/')) throw new ContextUnreadable(path, 'want a file\'s path relative to the context')
    const full = join(folder, normal)
    mkdirSync(dirname(full), { recursive: true, mode: folderMode })
    if (typeof file === 'object' && 'linkTo' in file) {
      symlinkSync(file.linkTo, full)
      continue
    }
    const { content, mode = fileMode } = typeof file === 'string' || file instanceof Uint8Array ? { content: file } : file
    writeFileSync(full, content)
    chmodSync(full, mode)
  }
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) lutimesSync(join(folder, entry), modifiedAt, modifiedAt)
}
