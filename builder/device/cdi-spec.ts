import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { JsonObject } from '../../oci/json.ts'
import { isObject } from '../../oci/json.ts'
import { DeviceUnsuitable } from './errors.ts'

/** A device of the Container Device Interface, as a file in one of its folders describes it. */
export interface CdiDevice {
  /** `vendor.com/class=name` */
  readonly qualified: string
  readonly file: string
  readonly annotations: Readonly<Record<string, string>>
  /** What makes the container ready for any device of the file, then for this one. */
  readonly edits: readonly JsonObject[]
}

export const usualCdiFolders: readonly string[] = ['/etc/cdi', '/var/run/cdi']

/** All devices, by name; a later folder replaces what an earlier one has. @throws {DeviceUnsuitable} for a file that is no specification */
export async function readCdiDevices(folders: readonly string[]): Promise<CdiDevice[]> {
  const devices = new Map<string, CdiDevice>()
  for (const folder of folders) {
    const found = new Map<string, CdiDevice>()
    for (const file of listSpecs(folder)) {
      for (const device of await readSpec(file)) {
        const other = found.get(device.qualified)
        if (other !== undefined) throw new DeviceUnsuitable(device.qualified, `both "${other.file}" and "${file}" describe it`)
        found.set(device.qualified, device)
      }
    }
    for (const [name, device] of found) devices.set(name, device)
  }
  return [...devices.values()].sort((one, other) => (one.qualified < other.qualified ? -1 : 1))
}

function listSpecs(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /\.(?:json|ya?ml)$/u.test(name)).sort().map((name) => join(folder, name))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

async function readSpec(file: string): Promise<CdiDevice[]> {
  const spec = await parseSpec(file)
  const { kind, devices, containerEdits = {}, annotations = {} } = spec
  if (typeof kind !== 'string' || !Array.isArray(devices) || !isObject(containerEdits) || !isObject(annotations)) throw new DeviceUnsuitable(file, 'it is no CDI specification: it needs a kind and devices')
  return devices.filter(isObject).map((device) => {
    const { name, containerEdits: own = {}, annotations: more = {} } = device
    if (typeof name !== 'string' || !isObject(own) || !isObject(more)) throw new DeviceUnsuitable(file, 'a device in it has no name, or edits that are none')
    return { qualified: `${kind}=${name}`, file, annotations: texts({ ...annotations, ...more }), edits: [containerEdits, own] }
  })
}

async function parseSpec(file: string): Promise<JsonObject> {
  const text = readFileSync(file, 'utf8')
  try {
    const parsed: unknown = file.endsWith('.json') ? JSON.parse(text) : (await import('yaml')).parse(text)
    if (isObject(parsed)) return parsed
  } catch (error) {
    if (!(error instanceof Error)) throw error
    throw new DeviceUnsuitable(file, `it cannot be read: ${error.message.split('\n')[0] ?? ''}`, { cause: error })
  }
  throw new DeviceUnsuitable(file, 'it is no CDI specification')
}

function texts(values: JsonObject): Record<string, string> {
  return Object.fromEntries(Object.entries(values).flatMap(([key, value]) => typeof value === 'string' ? [[key, value]] : []))
}
