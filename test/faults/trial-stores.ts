import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import type { ChainId } from '../../oci/digest.ts'
import { chooseGzipEngine, fsck, gc, openStore } from '../../storage/index.ts'
import { helperPath } from '../../native/index.ts'
import { task } from '../support/streams.ts'
import { perform } from './operations.ts'

/** A store as it is before an operation, and what it is like after one that nothing disturbed. */
export interface Reference { readonly operation: string; readonly template: string; readonly output: string; readonly size: string }

/** What stands in a store before an operation on it. */
const preparations: Readonly<Record<string, readonly string[]>> = { gc: ['pull', 'image'], fsck: ['pull', 'image'], repair: ['image'], convert: ['image'], run: ['base'] }

/** Stores to be disturbed, in a temporary folder, and what must hold of each afterwards. */
export class TrialStores implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'tsbuild-faults-'))
  /** One thread of the pool makes the count of calls the same each time; a library that a fault hides would make other blobs. */
  readonly env: NodeJS.ProcessEnv = { ...process.env, UV_THREADPOOL_SIZE: '1', TSBUILD_GZIP: chooseGzipEngine().engine.name, NODE_EXTRA_CA_CERTS: undefined }
  readonly #programs = join(this.folder, 'programs')

  /** Bundles what is started again and again, which then starts several times faster. */
  static async create(): Promise<TrialStores> {
    const stores = new TrialStores()
    const entryPoints = [join(import.meta.dirname, 'operation.ts'), join(import.meta.dirname, '..', 'support', 'store-worker.ts')]
    await build({ entryPoints, outdir: stores.#programs, entryNames: '[name]', outExtension: { '.js': '.mjs' }, bundle: true, format: 'esm', platform: 'node', target: 'node24', logLevel: 'error' })
    symlinkSync(dirname(helperPath), join(stores.#programs, 'build'))
    return stores
  }

  command(root: string, operation: string): string[] {
    return [process.execPath, join(this.#programs, 'operation.mjs'), root, operation]
  }

  /** A process that does things of one kind until it is killed. */
  worker(root: string, kind: string, seed: string): string[] {
    return [process.execPath, join(this.#programs, 'store-worker.mjs'), root, kind, seed]
  }

  async prepare(operation: string): Promise<Reference> {
    const template = join(this.folder, `${operation}-template`)
    mkdirSync(template)
    await (await openStore(template))[Symbol.asyncDispose]()
    for (const before of preparations[operation] ?? []) await perform(template, before)
    if (operation === 'repair') damage(template)
    const done = this.copy(template, `${operation}-done`)
    const output = await perform(done, operation)
    return { operation, template, output, size: await sizeAfterGc(done) }
  }

  copy(from: string, name: string): string {
    const to = join(this.folder, name)
    rmSync(to, { recursive: true, force: true })
    // Times of directories are part of layers, and Node's own copying changes them.
    execFileSync('cp', ['-a', from, to])
    return to
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** What is wrong with a store in which an operation was disturbed after it had printed `output`. */
export async function judge(root: string, output: string, reference: Reference): Promise<string | undefined> {
  return await isClean(root, reference) ?? await hasWhatWasDone(root, output) ?? await doesItAgain(root, reference)
}

/** A file of a layer with other bytes, no index, and a file that belongs to nothing. */
function damage(root: string): void {
  const layers = join(root, 'layers')
  const [layer = ''] = readdirSync(layers)
  if (lstatSync(join(layers, layer)).isDirectory()) writeFileSync(join(layers, layer, 'f00'), 'damaged')
  unlinkSync(join(root, 'content', 'index.json'))
  writeFileSync(join(layers, 'zzz'), 'stray')
}

async function isClean(root: string, { operation }: Reference): Promise<string | undefined> {
  // Half a repair leaves the rest of the damage.
  if (operation === 'repair') return undefined
  await using store = await openStore(root, { mayUseReserve: true })
  const { findings } = await fsck(store, task)
  return findings.length === 0 ? undefined : `fsck finds ${JSON.stringify(findings)}`
}

async function hasWhatWasDone(root: string, output: string): Promise<string | undefined> {
  await using store = await openStore(root)
  const [, kind = '', id = ''] = /^(\S+) (\S+)\n/u.exec(output) ?? []
  const isThere = kind === 'layer' ? store.layers.find(id as ChainId) !== undefined : kind === 'image' ? store.images.find(id) !== undefined : true
  return isThere ? undefined : `${kind} ${id} was reported done and is lost`
}

async function doesItAgain(root: string, { operation, output, size }: Reference): Promise<string | undefined> {
  try {
    const again = await perform(root, operation)
    if (again !== output) return `doing it again gives ${again} and not ${output}`
  } catch (error) {
    return `doing it again fails: ${String(error)}`
  }
  const after = await sizeAfterGc(root)
  return after === size ? undefined : `after gc it takes ${after} and not ${size}`
}

/** Everything but the database, locks and the reserve. */
export async function sizeAfterGc(root: string): Promise<string> {
  const store = await openStore(root)
  await gc(store, task, { dryRun: false })
  await store[Symbol.asyncDispose]()
  const paths = ['content', 'layers', 'snapshots', 'sessions', 'trash', 'mounts', 'incoming', 'quarantine'].map((name) => join(root, name)).filter((path) => existsSync(path))
  const entries = paths.flatMap((path) => readdirSync(path, { recursive: true, withFileTypes: true }))
  const files = entries.filter((entry) => !entry.isDirectory())
  const bytes = files.reduce((sum, entry) => sum + lstatSync(join(entry.parentPath, entry.name)).size, 0)
  return `${files.length} files, ${entries.length - files.length} directories, ${bytes} bytes`
}
