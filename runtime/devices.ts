import type { Stats } from 'node:fs'
import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isErrno } from '../core/errors.ts'
import type { ContainerSpec, Device } from './container-spec.ts'
import { InvalidSpec } from './errors.ts'

export interface DeviceNode {
  /** Relative to /dev. */
  readonly name: string
  /** Kind and permissions, as in mknod(2). */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly major: number
  readonly minor: number
  /** The host's node, for where none can be made; default the one of the same name. */
  readonly source?: string
}

/** What a container's /dev has beside the usual nodes. */
export interface FoundDevices {
  readonly nodes: readonly AllowedDevice[]
  /** Folders below /dev to put them in, parents first. */
  readonly folders: readonly string[]
}

export interface AllowedDevice extends DeviceNode {
  readonly permissions: string
}

const characterDevice = 0o020000
const blockDevice = 0o060000
const kindMask = 0o170000

/** Folders and nodes of a /dev that belong to an instance of something, not to the machine. */
const ownNames: readonly string[] = ['pts', 'shm', 'fd', 'mqueue', 'console', 'ptmx', 'core']

/** @throws {InvalidSpec} a device that is not there, or is none */
export function findDevices({ privilege, devices = [] }: ContainerSpec): FoundDevices {
  const asked = devices.flatMap((device, index) => readDevice(device, `devices[${index}].source`))
  const all = privilege.isPrivileged === true ? walk('/dev', { source: '/dev', target: '/dev', permissions: 'rwm' }) : []
  const nodes = [...asked, ...all.filter(({ name }) => !asked.some((node) => node.name === name))]
  return { nodes, folders: foldersOf(nodes) }
}

function readDevice(device: Device, field: string): AllowedDevice[] {
  const found = walk(device.source, device)
  if (found.length === 0) throw new InvalidSpec(field, device.source, 'a device of this host, or a folder of them')
  return found
}

function walk(path: string, device: Device): AllowedDevice[] {
  const stat = statIfThere(path)
  if (stat === undefined) return []
  if (stat.isDirectory()) return readdirSync(path).filter((name) => path !== '/dev' || !ownNames.includes(name)).flatMap((name) => walk(join(path, name), device))
  const kind = stat.mode & kindMask
  if (kind !== characterDevice && kind !== blockDevice) return []
  const { source, target, permissions, mode, uid, gid } = device
  const name = join(target, path.slice(source.length)).slice('/dev/'.length)
  return [{ name, mode: mode === undefined ? stat.mode : kind | (mode & 0o7777), uid: uid ?? stat.uid, gid: gid ?? stat.gid, major: deviceMajor(stat.rdev), minor: deviceMinor(stat.rdev), permissions, source: path }]
}

function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENXIO')) return undefined
    throw error
  }
}

/** As glibc packs a device number. @see makedev(3) */
export function deviceMajor(rdev: number): number {
  return Number(BigInt(rdev) >> 8n & 0xfffn | BigInt(rdev) >> 32n & 0xfffff000n)
}

export function deviceMinor(rdev: number): number {
  return Number(BigInt(rdev) & 0xffn | BigInt(rdev) >> 12n & 0xffffff00n)
}

/** The folders below /dev that nodes are in, parents first. */
export function foldersOf(nodes: readonly DeviceNode[]): string[] {
  return [...new Set(nodes.flatMap(({ name }) => parents(name)))].sort()
}

function parents(name: string): string[] {
  const folder = dirname(name)
  return folder === '.' || basename(name) === name ? [] : [...parents(folder), folder]
}
