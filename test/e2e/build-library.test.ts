import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectNothingLeft, importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('build-library')
const library = join(import.meta.dirname, '../../dist/builder.js')
beforeAll(() => { importBusybox(command) })

/** Runs a program that has `build` and `openEngine`. @returns what it printed, as JSON */
function runProgram(code: string): unknown {
  const path = join(command.folder, 'program.mjs')
  writeFileSync(path, `import { build, openEngine } from ${JSON.stringify(library)}\n${code}`)
  return JSON.parse(execFileSync(process.execPath, [path], { encoding: 'utf8', env: { ...process.env, TSBUILD_ROOT: command.root, NODE_EXTRA_CA_CERTS: '' } }))
}

describe('build() of the library', () => {
  it('builds from memory, several at the same time with one engine, and tells what it does', () => {
    expect(runProgram(`
      await using engine = await openEngine()
      const outcomes = []
      const builds = ['a', 'b'].map((name) => build({ context: { file: name }, dockerfile: { text: 'FROM busybox\\nCOPY file /file\\nRUN cat /file\\n' }, names: ['memory:' + name], network: 'none' },
        { engine, onEvent: (event) => { if (event.type === 'node-output') outcomes.push(Buffer.from(event.bytes).toString()) } }))
      const names = (await Promise.all(builds)).flatMap(({ names }) => names)
      console.log(JSON.stringify({ names, outcomes: outcomes.sort() }))`)).toEqual({ names: ['docker.io/library/memory:a', 'docker.io/library/memory:b'], outcomes: ['a', 'b'] })
    expect(command.must('run', '--network', 'none', 'memory:b', 'cat', '/file')).toBe('b')
  })

  it('stops every step and what it started when its signal is aborted, with the reason that was given', async () => {
    // The steps would take longer than a test may.
    const { reason, states } = runProgram(`
      const stop = new AbortController()
      let said = 0
      const states = []
      const dockerfile = { text: [0, 1, 2].map((index) => 'FROM busybox AS s' + index + '\\nRUN trap "" TERM INT; (setsid sleep 1000 &); echo begun; sleep 1000; echo ' + index + ' >/made\\n').join('') + 'FROM scratch\\nCOPY --from=s0 / /\\nCOPY --from=s1 / /\\nCOPY --from=s2 / /\\n' }
      const onEvent = (event) => {
        if (event.type === 'node-finished' && event.outcome !== 'cached') states.push(event.outcome)
        if (event.type === 'node-output' && ++said === 3) stop.abort(new Error('enough'))
      }
      const error = await build({ context: {}, dockerfile, network: 'none' }, { signal: stop.signal, onEvent }).catch((error) => error)
      console.log(JSON.stringify({ reason: error.message, states }))`) as { reason: string; states: string[] }
    expect({ reason, states }).toEqual({ reason: 'enough', states: ['canceled', 'canceled', 'canceled'] })
    await expectNothingLeft(command.root)
  })
})
