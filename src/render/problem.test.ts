import { readFileSync, statfsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { StepFailed } from '../../builder/index.ts'
import { StorageFull } from '../../storage/index.ts'
import { renderProblem } from './problem.ts'

const noInodes = Object.assign(statfsSync('/'), { files: 100, ffree: 0 })

it('tells what went wrong before what then went wrong with cleaning up', () => {
  const full = new StorageFull('/var/lib/tsbuild', noInodes, {})
  const nested = new SuppressedError(new Error('second'), new SuppressedError(new Error('first'), full))
  const { lines, exitCode } = renderProblem(nested)
  expect(lines[0]).toBe(`error: ${full.message}`)
  expect(lines.slice(-2)).toEqual(['and then, cleaning up: first', 'and then, cleaning up: second'])
  expect(exitCode).toBe(renderProblem(full).exitCode)
})

it('finds the exit code of a step behind a failed clean-up', () => {
  const full = new StorageFull('/var/lib/tsbuild', noInodes, {})
  const place = { source: { name: 'Dockerfile', text: 'COPY a b' }, range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 4 } }
  const failed = new StepFailed({ stage: 'build', step: 1, steps: 2, source: 'COPY a b', place }, new SuppressedError(new Error('busy'), full))
  const { lines, exitCode } = renderProblem(failed)
  expect(exitCode).toBe(renderProblem(full).exitCode)
  expect(lines[0]).toBe(`error: ${failed.message}`)
  expect(lines.slice(-3)).toEqual([`because: ${full.message}`, expect.stringMatching(/^hint: /u), 'and then, cleaning up: busy'])
})

it('names the file first that the system refused', () => {
  const refused = (path: string): unknown => {
    try {
      return readFileSync(path)
    } catch (error) {
      return error
    }
  }
  expect(renderProblem(refused('/none/such'))).toEqual({ lines: ['error: cannot open "/none/such": no such file or directory (ENOENT)'], exitCode: 1 })
  expect(renderProblem(refused('/'))).toEqual({ lines: ['error: EISDIR: illegal operation on a directory, read'], exitCode: 1 })
})
