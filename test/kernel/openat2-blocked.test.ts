import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { blockCall } from '../support/block-call.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('openat2')
const root = join(import.meta.dirname, '..', '..')

/** Older kernels do not know the call, and some sandboxes refuse it. */
describe('where openat2 is blocked', () => {
  it.each([['ENOSYS', 'P1-P5: paths'], ['EPERM', 'W1-W3: whiteouts']] as const)('with %s, layers are taken or refused as ever: %s', (error, group) => {
    const [program = '', ...blocked] = blockCall(folder, 'openat2', error)
    const vitest = [process.execPath, join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', 'kernel', 'test/kernel/hostile-layers.test.ts', '-t', group]
    const { status, stdout } = spawnSync(program, [...blocked, ...vitest], { cwd: root, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } })
    expect(status, stdout.slice(-3000)).toBe(0)
    expect(stdout).toMatch(/Tests +[12]\d passed/u)
  }, 300_000)
})
