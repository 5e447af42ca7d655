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

const maxDatabaseBytes = 256 * 1024 * 1024
const maxDescriptionBytes = 4 * 1024 * 1024

const rpmDatabases = ['/var/lib/rpm', '/usr/lib/sysimage/rpm'].flatMap((folder) => ['rpmdb.sqlite', 'Packages.db', 'Packages'].map((name) => `${folder}/${name}`))

/**
 * The packages that the databases of a rootfs list: dpkg, apk, npm and pip. What is there and was not read, rpm's database
 * among it, is named in the problems. In the order of their purls.
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
    const read = new Set<string>()
    for (const path of rpmDatabases) {
      const file = await this.#find(path)
      if (file !== undefined && !read.has(file.path)) this.problems.push(`${file.path}: a database of rpm is not read`)
      if (file !== undefined) read.add(file.path)
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

  /** Where two paths are one file, links being followed, it is read once. */
  async #readDatabase(path: string, read: (path: string, text: string) => PackageList): Promise<void> {
    const file = await this.#find(path)
    if (file === undefined || this.#read.has(file.path)) return
    this.#read.add(file.path)
    if (file.sizeBytes > maxDatabaseBytes) this.problems.push(`${path}: it has ${file.sizeBytes} bytes, more than ${maxDatabaseBytes}`)
    else this.#add(read(file.path, (await this.#view.readFile(file.path, maxDatabaseBytes)).toString()))
  }

  readonly #read = new Set<string>()

  async #find(path: string): Promise<{ readonly path: string; readonly sizeBytes: number } | undefined> {
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
