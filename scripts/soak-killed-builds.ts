/**
 * npm run soak:killed [-- COUNT]
 * Starts builds and kills each with SIGKILL at a random moment, and fails when the store is not clean, the next build does not succeed, or
 * anything is left on the host: mounts, cgroups, links, rules, processes. Needs root and dist/.
 */
import type { ChildProcess } from 'node:child_process'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { writeBusyboxRootfs } from './busybox-rootfs.ts'
import { findLeftovers, lookAtHost } from './host-state.ts'

const count = Number(process.argv[2] ?? '40')
const longestMs = 2500
const folder = mkdtempSync(join(tmpdir(), 'tsbuild-soak-'))
const env = { ...process.env, TSBUILD_ROOT: join(folder, 'store') }
const command = [process.execPath, join(import.meta.dirname, '..', 'bin', 'tsbuild.cjs')] as const

function must(...args: readonly string[]): void {
  const { status, stderr } = spawnSync(command[0], [command[1], ...args], { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`tsbuild ${args.join(' ')} ended with ${status}: ${stderr}`)
}

async function killOne(turn: number): Promise<void> {
  const build: ChildProcess = spawn(command[0], [command[1], 'build', '--no-cache', '--build-arg', `TURN=${turn}`, join(folder, 'context')], { env, stdio: 'ignore' })
  await setTimeout(Math.random() * longestMs)
  build.kill('SIGKILL')
  if (build.exitCode === null && build.signalCode === null) await once(build, 'exit')
}

const before = lookAtHost()
try {
  mkdirSync(join(folder, 'context'))
  writeFileSync(join(folder, 'context', 'Dockerfile'), [
    'FROM busybox AS one', 'ARG TURN', 'RUN --mount=type=cache,target=/c (sleep 100 &) ; echo $TURN > /c/x; mkdir -p /a/b && sleep 0.2', 'FROM busybox AS two', 'RUN head -c 3000000 /dev/urandom > /big && sleep 0.2',
    'FROM busybox', 'COPY --from=one /a /a', 'COPY --from=two /big /big', 'RUN --network=none sleep 0.2; rm /big', '',
  ].join('\n'))
  writeBusyboxRootfs(join(folder, 'busybox.tar'))
  must('import', join(folder, 'busybox.tar'), 'busybox')
  for (let turn = 1; turn <= count; turn += 1) {
    await killOne(turn)
    if (turn % 10 === 0) must('fsck')
  }
  must('build', '--no-cache', join(folder, 'context'))
  must('fsck')
  const left = await findLeftovers(before)
  for (const entry of left) console.error(`left: ${entry}`)
  console.log(`${count} builds were killed: the store is clean, the next build succeeded, ${left.length} things were left on the host`)
  if (left.length > 0) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
