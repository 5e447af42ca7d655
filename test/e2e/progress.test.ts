import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Terminal } from '@xterm/headless'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectNothingLeft, importBusybox, leftovers, useCommand } from '../support/command.ts'
import { schemaProblems } from '../support/event-schema.ts'

const command = useCommand('progress')
beforeAll(() => { importBusybox(command) })

interface Session {
  readonly exitCode: number | null
  readonly screen: readonly string[]
  readonly bytes: string
}

/** Runs a build on a terminal of 80 × 24; `typed` once the screen shows `cue`. */
async function onTerminal(args: readonly string[], keys?: { readonly cue: string; readonly typed: string }): Promise<Session> {
  const terminal = new Terminal({ cols: 80, rows: 24, allowProposedApi: true })
  const line = `stty cols 80 rows 24; exec ${process.execPath} ${join(import.meta.dirname, '../../bin/tsbuild.cjs')} ${args.join(' ')}`
  const env = { ...process.env, TSBUILD_ROOT: command.root, TERM: 'xterm-256color', NODE_EXTRA_CA_CERTS: '' }
  const child = spawn('script', ['-qec', line, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] })
  let bytes = ''
  let isTyped = false
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.toString()
    terminal.write(chunk)
    if (keys === undefined || isTyped || !bytes.includes(keys.cue)) return
    isTyped = true
    child.stdin.write(keys.typed)
  })
  const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve))
  await new Promise<void>((done) => { terminal.write('', done) })
  const buffer = terminal.buffer.active
  const screen = Array.from({ length: buffer.length }, (_, index) => buffer.getLine(index)?.translateToString(true) ?? '').filter((text) => text !== '')
  return { exitCode, screen, bytes }
}

describe('a build on a terminal', () => {
  it('ends as one tree with a summary', async () => {
    const path = command.context('tree', { Dockerfile: 'FROM busybox AS one\nRUN sleep 0.6; echo done > /x\nFROM busybox\nCOPY --from=one /x /\n' })
    const { exitCode, screen } = await onTerminal(['build', '-t', 'tree:1', path])
    expect(exitCode).toBe(0)
    const shape = screen.map((line) => line.replaceAll(/\d+\.\ds/gu, 'TIME').replaceAll(/ {2,}/gu, '  ').replace(/[0-9a-f]{12}/u, 'ID'))
    expect(shape.slice(0, 7)).toEqual(['  one', '  ✔ 1/2 FROM busybox AS one  cached', '  ✔ 2/2 RUN sleep 0.6; echo done > /x  TIME', '  stage-1', '  ✔ 2/2 COPY --from=one /x /  TIME', '✔ docker.io/library/tree:1 ID in TIME', expect.stringMatching(/^ {2}3 steps: 1 cached, 2 executed · peak memory /u)])
    // On a busy machine the copy, too, takes long enough to be named.
    const image = shape.findIndex((line) => line.startsWith('  image '))
    expect(shape[7]).toMatch(/^ {2}slowest {2}/u)
    expect(shape.slice(7, image).map((line) => line.replace(/^ +(?:slowest +)?/u, ''))).toContain('TIME  RUN sleep 0.6; echo done > /x')
    expect(shape[image]).toMatch(/^ {2}image {2}\S+ and [\d,]+ inodes in 2 layers:$/u)
  })

  it('is left whole by Ctrl-C: what ran is shown as canceled, and nothing stays behind', async () => {
    const path = command.context('cancel', { Dockerfile: 'FROM busybox\nRUN echo ready; sleep 600\n' })
    const { exitCode, screen, bytes } = await onTerminal(['build', path], { cue: '│ ready', typed: '\u0003' })
    expect(exitCode).toBe(130)
    const shape = screen.map((line) => line.replaceAll(/\d+\.\ds/gu, 'TIME').replaceAll(/ {2,}/gu, '  '))
    expect(shape).toEqual(['  stage-0', '  ✔ 1/2 FROM busybox  cached', '  – 2/2 RUN echo ready; sleep 600  canceled', '– canceled after TIME', '  2 steps: 1 cached, 1 canceled', 'canceled by SIGINT'])
    expect(bytes.lastIndexOf('\u001B[?25h')).toBeGreaterThan(bytes.lastIndexOf('\u001B[?25l'))
    await expect.poll(() => leftovers(command.root)).toEqual([])
    await expectNothingLeft(command.root)
  })
})

describe('--progress', () => {
  it('json writes only lines that the published schema allows, the last of them the end', () => {
    const path = command.context('json', { Dockerfile: 'FROM busybox\nRUN echo some output; exit 3\n' })
    const { stdout, exitCode } = command.run('build', '--progress', 'json', path)
    const lines = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as { readonly type: string })
    expect(exitCode).toBe(3)
    expect(lines.flatMap(schemaProblems)).toEqual([])
    expect(lines.at(-1)).toMatchObject({ type: 'build-finished', outcome: 'failed', error: { code: 'BUILDER_STEP_FAILED', step: { place: { startLine: 2 } } } })
  })

  it('plain prefixes each line with its step and ends with the summary', () => {
    const path = command.context('plain', { Dockerfile: 'FROM busybox\nRUN echo some output\n' })
    const { stderr } = command.run('build', '--progress', 'plain', path)
    expect(stderr).toMatch(/^#2 \d+\.\d\ds some output$/mu)
    expect(stderr).toMatch(/^ {2}2 steps: 1 cached, 1 executed/mu)
  })

  it('tty is refused where there is no terminal', () => {
    expect(command.run('build', '--progress', 'tty', command.folder)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('needs a terminal') as string })
  })
})
