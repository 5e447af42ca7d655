import { realpathSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'
import type { JsonObject } from '../../oci/json.ts'
import { isObject } from '../../oci/json.ts'
import type { Device, Mount } from '../../runtime/index.ts'
import { DeviceUnsuitable } from './errors.ts'
import type { CdiDevice } from './cdi-spec.ts'

/** What devices change of a container. */
export interface DeviceEdits {
  /** `NAME=value`; they come before the step's own. */
  readonly env: readonly string[]
  readonly devices: readonly Device[]
  readonly mounts: readonly Mount[]
  readonly groups: readonly number[]
}

/** Options that change nothing of how we bind: privately, and with what is mounted below. */
const harmless = ['bind', 'rbind', 'private', 'rprivate', 'rw']

/** @throws {DeviceUnsuitable} for what our containers have no place for. @see CDI SPEC.md "containerEdits" */
export function deviceEdits(devices: readonly CdiDevice[]): DeviceEdits {
  const env: string[] = []
  const nodes: Device[] = []
  const mounts: Mount[] = []
  const groups: number[] = []
  for (const { qualified, edits } of devices) {
    for (const edit of edits) {
      const reader = new EditReader(qualified, edit)
      env.push(...reader.env())
      nodes.push(...reader.nodes())
      mounts.push(...reader.mounts())
      groups.push(...reader.groups())
      reader.refuseRest()
    }
  }
  return { env: [...new Set(env)], devices: uniqueBy(nodes, ({ target }) => target), mounts: uniqueBy(mounts, ({ target }) => target), groups: [...new Set(groups)] }
}

class EditReader {
  readonly #device: string
  readonly #edit: JsonObject

  constructor(device: string, edit: JsonObject) {
    this.#device = device
    this.#edit = edit
  }

  env(): string[] {
    return this.#list('env').map((entry) => typeof entry === 'string' && entry.indexOf('=') > 0 ? entry : this.#fail(`its variable ${JSON.stringify(entry)} is not NAME=value`))
  }

  nodes(): Device[] {
    return this.#objects('deviceNodes').map((node) => {
      const { path, hostPath = path, permissions = 'rwm', fileMode, uid, gid } = node
      if (typeof path !== 'string' || typeof hostPath !== 'string' || typeof permissions !== 'string') return this.#fail('a node of it has no path')
      if (!path.startsWith('/dev/')) return this.#fail(`its node "${path}" is not below /dev`)
      return { source: hostPath, target: path, permissions, ...this.#numbers({ mode: fileMode, uid, gid }) }
    })
  }

  mounts(): Mount[] {
    return this.#objects('mounts').map((mount) => {
      const { hostPath, containerPath, options: given = [], type } = mount
      if (typeof hostPath !== 'string' || typeof containerPath !== 'string' || !Array.isArray(given)) return this.#fail('a mount of it lacks a path')
      const options = given.map((option: unknown) => typeof option === 'string' ? option : this.#fail('an option of a mount of it is no text'))
      if (type === 'tmpfs') return this.#fail(`it mounts a tmpfs at "${containerPath}", which we do not do for devices`)
      const unknown = options.find((option) => !harmless.includes(option) && !['ro', 'nosuid', 'nodev', 'noexec'].includes(option))
      if (unknown !== undefined) return this.#fail(`it mounts with "${unknown}", which we do not know`)
      // Read-only covers what the weaker options guard against: nobody can put a set-user-id program or a node there.
      if (!options.includes('ro') && options.some((option) => !harmless.includes(option))) return this.#fail(`it mounts "${containerPath}" writable with options ${options.join(',')}, which we do not do`)
      return { kind: 'bind', source: this.#resolve(hostPath), target: containerPath, readonly: options.includes('ro') }
    })
  }

  groups(): number[] {
    return this.#list('additionalGids').map((gid) => typeof gid === 'number' ? gid : this.#fail('a group of it is no number'))
  }

  refuseRest(): void {
    if (this.#list('hooks').length > 0) this.#fail('it needs OCI hooks to be run, which we do not do; generate its specification without, as nvidia-ctk does with --disable-hook=all')
    for (const key of ['intelRdt', 'netDevices']) if (this.#edit[key] !== undefined) this.#fail(`it needs ${key}, which we do not have`)
  }

  #list(key: string): readonly unknown[] {
    const value = this.#edit[key] ?? []
    return Array.isArray(value) ? value : this.#fail(`its ${key} are no list`)
  }

  #objects(key: string): JsonObject[] {
    return this.#list(key).map((entry) => isObject(entry) ? entry : this.#fail(`one of its ${key} is none`))
  }

  #numbers(values: Readonly<Record<string, unknown>>): Record<string, number> {
    return Object.fromEntries(Object.entries(values).flatMap(([key, value]) => typeof value === 'number' ? [[key, value]] : []))
  }

  /** Libraries are links as a rule, and a bind mount follows none. */
  #resolve(path: string): string {
    try {
      return realpathSync(path)
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
      return this.#fail(`"${path}", which it mounts, is not there`)
    }
  }

  #fail(problem: string): never {
    throw new DeviceUnsuitable(this.#device, problem)
  }
}

/** The last of each, as with options given twice. */
function uniqueBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()]
}
