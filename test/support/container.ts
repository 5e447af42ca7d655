import { randomBytes } from 'node:crypto'
import type { ContainerExit, ContainerSpec, ContainerStdio, Device, Isolation, Limits, Mount, Privilege, ProcessSpec, Rootfs } from '../../runtime/index.ts'
import { runContainer } from '../../runtime/index.ts'

export interface ContainerParts {
  readonly args: readonly string[]
  readonly rootfs: Rootfs
  readonly process?: Partial<ProcessSpec>
  readonly isolation?: Partial<Isolation>
  readonly mounts?: readonly Mount[]
  readonly limits?: Limits
  readonly privilege?: Privilege
  readonly devices?: readonly Device[]
}

/** A spec as a RUN step has it, with the parts that the test is about. */
export function makeSpec({ args, rootfs, process, isolation, mounts, limits, privilege, devices }: ContainerParts): ContainerSpec {
  return {
    id: `test-${randomBytes(8).toString('hex')}`,
    rootfs,
    process: { args, env: ['PATH=/bin'], cwd: '/', user: { uid: 0, gid: 0, groups: [] }, ...process },
    isolation: { hostname: 'box', network: { mode: 'host' }, ...isolation },
    mounts: mounts ?? [],
    limits: limits ?? {},
    privilege: privilege ?? {},
    devices: devices ?? [],
  }
}

export interface Finished {
  readonly exit: ContainerExit
  readonly stdout: string
  readonly stderr: string
}

export async function run(parts: ContainerParts, signal: AbortSignal = new AbortController().signal): Promise<Finished> {
  return runSpec(makeSpec(parts), signal)
}

export async function runSpec(spec: ContainerSpec, signal: AbortSignal = new AbortController().signal): Promise<Finished> {
  const output = { stdout: '', stderr: '' }
  const stdio: ContainerStdio = { kind: 'events' }
  const exit = await runContainer(spec, stdio, { signal, emit: (event) => { if (event.type === 'container-output') output[event.stream] += Buffer.from(event.bytes).toString('utf8') } })
  return { exit, ...output }
}

/** Runs a shell script and gives the lines it wrote; it must succeed. */
export async function runScript(script: string, parts: Omit<ContainerParts, 'args'>): Promise<string[]> {
  const { exit, stdout, stderr } = await run({ ...parts, args: ['/bin/sh', '-c', script] })
  if (exit.exitCode !== 0) throw new Error(`script ended with ${exit.exitCode}: ${stderr}`)
  return stdout.split('\n').slice(0, -1)
}
