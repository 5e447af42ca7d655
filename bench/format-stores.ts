/** Where layer formats are compared: a fresh ext4 for each, so that neither suffers from what was deleted before, and docker beside them. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const formats = ['overlay', 'erofs'] as const
export type Format = (typeof formats)[number]

export interface FormatStoresOptions {
  readonly folder: string
  /** Host and port of a registry without TLS. */
  readonly registry: string
  /** Put before docker's command, to reach one in a chroot. */
  readonly prefix: readonly string[]
}

const diskBytes = 24 * 2 ** 30

/** The caller is in a mount namespace of its own. */
export class FormatStores {
  readonly #options: FormatStoresOptions
  #run = 0

  constructor(options: FormatStoresOptions) {
    this.#options = options
    writeFileSync(this.#registries, `[[registry]]\nlocation="${options.registry}"\ninsecure=true\n`)
    for (const format of formats) {
      const image = join(options.folder, `${format}.img`)
      writeFileSync(image, '')
      truncateSync(image, diskBytes)
      mkdirSync(this.#disk(format))
      execFileSync('mkfs.ext4', ['-q', '-F', '-E', 'nodiscard', image])
      execFileSync('mount', ['-o', 'loop', image, this.#disk(format)])
      // Else everything that is written lies in memory twice, as it does on no disk. Where the kernel cannot do it, it does.
      spawnSync('sh', ['-c', 'losetup --direct-io=on "$(findmnt -n -o SOURCE "$1")"', 'sh', this.#disk(format)], { stdio: 'ignore' })
    }
  }

  get runs(): number {
    return this.#run
  }

  /** From now on every format has an empty store. The ones before stay: deleting them would slow down what comes next. */
  startRun(): void {
    this.#run += 1
  }

  root(format: Format, run: number = this.#run): string {
    return join(this.#disk(format), `root-${run}`)
  }

  /** @returns seconds of the whole process, and what it printed */
  tsbuild(format: Format, args: readonly string[], run?: number): { readonly seconds: number; readonly output: string } {
    const env: NodeJS.ProcessEnv = { ...process.env, TSBUILD_ROOT: this.root(format, run), TSBUILD_LAYER_FORMAT: format, CONTAINERS_REGISTRIES_CONF: this.#registries, NO_COLOR: '1' }
    delete env['NODE_EXTRA_CA_CERTS']
    return time([process.execPath, join(import.meta.dirname, '..', 'bin', 'tsbuild.cjs'), ...args], env)
  }

  docker(...args: readonly string[]): { readonly seconds: number; readonly output: string } {
    return time([...this.#options.prefix, 'docker', ...args], process.env)
  }

  get hasDocker(): boolean {
    const [file, ...args] = [...this.#options.prefix, 'docker', 'info']
    return spawnSync(file, args, { stdio: 'ignore' }).status === 0
  }

  /** Inodes in use. */
  inodes(format: Format): number {
    const { files, ffree } = statfsSync(this.#disk(format))
    return files - ffree
  }

  dockerInodes(): number {
    const [file, ...args] = [...this.#options.prefix, 'sh', '-c', 'du -s --inodes /var/lib/docker | cut -f1']
    return Number(execFileSync(file, args, { encoding: 'utf8' }))
  }

  [Symbol.dispose](): void {
    for (const format of formats) spawnSync('umount', [this.#disk(format)], { stdio: 'ignore' })
  }

  #disk(format: Format): string {
    return join(this.#options.folder, format)
  }

  get #registries(): string {
    return join(this.#options.folder, 'registries.conf')
  }
}

export function time([file = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): { readonly seconds: number; readonly output: string } {
  const started = process.hrtime.bigint()
  const { status, stdout, stderr } = spawnSync(file, args, { env, encoding: 'utf8', maxBuffer: 1 << 28 })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return { seconds, output: stdout }
}
