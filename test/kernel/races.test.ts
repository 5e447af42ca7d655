import { spawn } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Mount } from '../../runtime/index.ts'
import { ContainerSetupFailed } from '../../runtime/index.ts'
import { run } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const canary = workspace.makeFolder()
writeFileSync(join(canary, 'secret'), 'of the host')
const harmless = workspace.makeFolder()
writeFileSync(join(harmless, 'mine'), '')
afterAll(() => { workspace[Symbol.dispose]() })

/** A folder that containers share, in which somebody else has `target`, a folder, and a link to the host change places all the time. */
let shared = ''
let racer: ReturnType<typeof spawn> | undefined
let before: string[] = []

function race(link: string): void {
  shared = workspace.makeFolder()
  mkdirSync(join(shared, 'target'))
  symlinkSync(link, join(shared, 'link'))
  racer = spawn(workspace.probe(), ['exchange', join(shared, 'target'), join(shared, 'link')], { stdio: 'ignore' })
}

beforeEach(() => { before = workspace.describe(canary) })
afterEach(async () => {
  racer?.kill('SIGKILL')
  await new Promise((resolve) => racer?.once('exit', resolve))
  expect(workspace.describe(canary)).toEqual(before)
})

/** What the script wrote each time the container could be made; a refusal is as good. */
async function tryOften(script: string, mounts: () => readonly Mount[]): Promise<string[]> {
  const outputs: string[] = []
  let refused = 0
  for (let turn = 0; turn < 40; turn++) {
    const rootfs = { kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' } as const
    try {
      outputs.push((await run({ args: ['/bin/sh', '-c', script], rootfs, mounts: mounts(), isolation: { network: { mode: 'none' } } })).stdout)
    } catch (error) {
      if (!(error instanceof ContainerSetupFailed)) throw error
      refused += 1
    }
  }
  expect(outputs.length + refused).toBe(40)
  return outputs
}

describe('a mount point that is exchanged for a link while the container is made', () => {
  it.each([['the host\'s files', () => canary], ['the root', () => '/'], ['a kernel file', () => '/proc/sys/kernel']])('never leads to %s', async (_, link) => {
    race(link())
    const outputs = await tryOften('cat /proc/self/mountinfo; cat /shared/target/secret 2> /dev/null; ls /proc/self/status > /dev/null || echo COVERED', () => [
      { kind: 'bind', source: shared, target: '/shared', readonly: false },
      { kind: 'bind', source: harmless, target: '/shared/target', readonly: false },
      { kind: 'tmpfs', target: '/shared/target/made/deep' },
    ])
    for (const output of outputs) {
      expect(output).not.toContain('of the host')
      expect(output).not.toContain('COVERED')
      expect(output.split('\n').filter((line) => line.split(' ')[4]?.startsWith('/proc/sys/') === true)).toEqual([])
    }
  })

  it('is never made where the link leads', async () => {
    race(canary)
    await tryOften('true', () => [{ kind: 'bind', source: shared, target: '/shared', readonly: false }, { kind: 'tmpfs', target: '/shared/target/one/two' }, { kind: 'file', target: '/shared/target/file', content: Buffer.from('x'), mode: 0o600, uid: 0, gid: 0 }])
  })
})

describe('a source that is exchanged for a link', () => {
  it('is the folder or refused, and never what the link leads to', async () => {
    race(canary)
    const outputs = await tryOften('ls /from', () => [{ kind: 'bind', source: join(shared, 'target'), target: '/from', readonly: false }])
    expect(outputs.join('')).not.toContain('secret')
  })
})

describe('the files of the kernel', () => {
  it('can be written by root in a container only where they are its own', async () => {
    const rootfs = { kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' } as const
    race('/')
    // Writing there only asks for being woken.
    const { stdout } = await run({ args: ['/bin/sh', '-c', 'probe writable /sys; probe writable /proc'], rootfs, isolation: { network: { mode: 'none' } } })
    expect(stdout.split('\n').filter((path) => path !== '' && !path.startsWith('/proc/pressure/'))).toEqual([])
  })
})
