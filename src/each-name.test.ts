import { describe, expect, it } from 'vitest'
import { Canceled } from '../core/errors.ts'
import { ImageNotFound } from '../builder/index.ts'
import type { App } from './app.ts'
import { UsageError } from './errors.ts'
import { eachName } from './each-name.ts'

interface Said { readonly printed: string[]; readonly noted: string[] }

function makeApp(signal = new AbortController().signal): App & Said {
  const said: Said = { printed: [], noted: [] }
  return { ...said, env: {}, args: [], signal, isTerminal: false, print: (line) => { said.printed.push(line) }, note: (line) => { said.noted.push(line) }, listCommands: () => Promise.resolve([]), openEngine: () => Promise.reject(new Error('no store is needed')) }
}

describe('work on each name', () => {
  it('goes on after a failure, and ends with the code of the first', async () => {
    const app = makeApp()
    const exitCode = await eachName(['one', 'gone', 'two', 'wrong'], app, (name) => {
      if (name === 'gone') throw new ImageNotFound(name, undefined)
      if (name === 'wrong') throw new UsageError('this is not how it goes')
      return [name, `${name} again`]
    })
    expect([exitCode, app.printed]).toEqual([3, ['one', 'one again', 'two', 'two again']])
    expect(app.noted).toEqual([expect.stringContaining('"gone"'), expect.stringContaining('this is not how it goes')])
  })

  it('stops when the user does', async () => {
    const controller = new AbortController()
    const app = makeApp(controller.signal)
    const worked = eachName(['one', 'two'], app, (name) => {
      controller.abort(new Canceled('SIGINT'))
      throw new UsageError(name)
    })
    await expect(worked).rejects.toBeInstanceOf(Canceled)
    expect(app.noted).toEqual([])
  })
})
