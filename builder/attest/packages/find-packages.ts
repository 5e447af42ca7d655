import type { Task } from '../../../core/task.ts'
import type { RootfsView, TreeEntry } from '../../../storage/index.ts'
import { LinkLoop } from '../../../storage/index.ts'
import { joinPath } from '../../copy/select.ts'
import { readApk } from './apk.ts'
import { readDpkg } from './dpkg.ts'
import { readNpm } from './npm.ts'
import type { Distribution, FoundPackage, PackageList } from './package.ts'
import { parseOsRelease } from './package.ts'
import { readPip } from './pip.ts'
import { readRpm } from './rpm.ts'

const maxDatabaseBytes = 256 * 1024 * 1024
const maxDescriptionBytes = 4 * 1024 * 1024

const rpmFolders = ['/var/lib/rpm', '/usr/lib/sysimage/rpm']
/** Of rpm before 4.16, and of SUSE. */
const foreignRpmDatabases = { 'Packages': 'Berkeley DB', 'Packages.db': 'ndb' } as const

/**
 * The packages that the databases of a rootfs list: dpkg, apk, rpm (sqlite), npm and pip. What is there and was not read,
 * other databases of rpm among it, is named in the problems. In the order of their purls.
 */
export async function findPackages(view: RootfsView, task: Task): Promise<PackageList> {
  const found = new Finding(view)
  await found.readDatabases()
  await found.walk(Buffer.from('/'), task)
  return { packages: found.packages.sort((one, other) => order(one.purl, other.purl) || order(one.foundAt, other.foundAt)), problems: found.problems }
}

function order(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1
}

interface FoundFile { readonly path: string; readonly sizeBytes: number }

class Finding {
  readonly packages: FoundPackage[] = []
  readonly problems: string[] = []
  readonly #view: RootfsView

  constructor(view: RootfsView) {
    this.#view = view
  }

  async readDatabases(): Promise<void> {
    const distribution = await this.#readDistribution()
    await this.#readDatabase('/var/lib/dpkg/status', (path, text) => readDpkg({ path, text, distribution }))
    for (const name of await this.#list('/var/lib/dpkg/status.d')) {
      if (!name.endsWith('.md5sums')) await this.#readDatabase(`/var/lib/dpkg/status.d/${name}`, (path, text) => readDpkg({ path, text, distribution }))
    }
    for (const database of ['/lib/apk/db/installed', '/usr/lib/apk/db/installed']) await this.#readDatabase(database, (path, text) => readApk({ path, text, distribution }))
    for (const folder of rpmFolders) await this.#readRpm(folder, distribution)
  }

  async #readRpm(folder: string, distribution: Distribution): Promise<void> {
    const file = await this.#takeDatabase(`${folder}/rpmdb.sqlite`)
    if (file !== undefined) {
      const log = await this.#find(`${file.path}-wal`)
      const bytes = await this.#view.readFile(file.path, maxDatabaseBytes)
      this.#add(readRpm({ path: file.path, bytes, log: log === undefined ? new Uint8Array() : await this.#view.readFile(log.path, maxDatabaseBytes), distribution }))
    }
    for (const [name, kind] of Object.entries(foreignRpmDatabases)) {
      const foreign = await this.#takeDatabase(`${folder}/${name}`)
      if (foreign !== undefined) this.problems.push(`${foreign.path}: found but not read: a database of rpm in the form of ${kind}; rpm --rebuilddb with _db_backend sqlite makes one that is read`)
    }
  }

  /** Packages of npm and pip lie anywhere. */
  async walk(folder: Buffer, task: Task): Promise<void> {
    task.signal.throwIfAborted()
    for (const name of await this.#view.list(folder)) {
      const path = joinPath(folder, name)
      const entry = await this.#view.lstat(path)
      if (entry?.type === 'directory') await this.walk(path, task)
      else if (entry?.type === 'file') await this.#readDescription(path, entry)
    }
  }

  async #readDescription(path: Buffer, entry: TreeEntry): Promise<void> {
    const text = path.toString()
    const isNpm = /\/node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/u.test(text)
    const isPip = /(?:\.dist-info\/METADATA|\.egg-info\/PKG-INFO|\.egg-info)$/u.test(text)
    if (!isNpm && !isPip) return
    if (entry.sizeBytes > maxDescriptionBytes) {
      this.problems.push(`${text}: it has ${entry.sizeBytes} bytes, more than ${maxDescriptionBytes}`)
      return
    }
    const bytes = await this.#view.readFile(path, maxDescriptionBytes)
    this.#add(isNpm ? readNpm(text, bytes) : readPip(text, bytes.toString()))
  }

  async #readDistribution(): Promise<Distribution> {
    for (const path of ['/etc/os-release', '/usr/lib/os-release']) {
      const file = await this.#find(path)
      if (file !== undefined && file.sizeBytes <= maxDescriptionBytes) return parseOsRelease((await this.#view.readFile(file.path, maxDescriptionBytes)).toString())
    }
    return { id: undefined, version: undefined }
  }

  async #readDatabase(path: string, read: (path: string, text: string) => PackageList): Promise<void> {
    const file = await this.#takeDatabase(path)
    if (file !== undefined) this.#add(read(file.path, (await this.#view.readFile(file.path, maxDatabaseBytes)).toString()))
  }

  /** Where two paths are one file, links being followed, it is read once. */
  async #takeDatabase(path: string): Promise<FoundFile | undefined> {
    const file = await this.#find(path)
    if (file === undefined || this.#read.has(file.path)) return undefined
    this.#read.add(file.path)
    if (file.sizeBytes <= maxDatabaseBytes) return file
    this.problems.push(`${path}: it has ${file.sizeBytes} bytes, more than ${maxDatabaseBytes}`)
    return undefined
  }

  readonly #read = new Set<string>()

  async #find(path: string): Promise<FoundFile | undefined> {
    const resolved = await this.#resolve(path)
    const entry = resolved === undefined ? undefined : await this.#view.lstat(resolved)
    return resolved !== undefined && entry?.type === 'file' ? { path: resolved.toString(), sizeBytes: entry.sizeBytes } : undefined
  }

  async #list(path: string): Promise<string[]> {
    const resolved = await this.#resolve(path)
    const entry = resolved === undefined ? undefined : await this.#view.lstat(resolved)
    return resolved !== undefined && entry?.type === 'directory' ? (await this.#view.list(resolved)).map(String) : []
  }

  async #resolve(path: string): Promise<Buffer | undefined> {
    try {
      return await this.#view.resolve(path)
    } catch (error) {
      if (!(error instanceof LinkLoop)) throw error
      this.problems.push(`${path}: its links lead nowhere`)
      return undefined
    }
  }

  #add({ packages, problems }: PackageList): void {
    this.packages.push(...packages)
    this.problems.push(...problems)
  }
}
