import { closeSync, fstatSync, writeSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Addon } from './index.ts'
import { getAddon } from './index.ts'

/** Opens a reader and gives what it calls back with, as text; an end is undefined. */
function open(fd: number): { readonly reader: ReturnType<Addon['openReader']>; readonly seen: (string | undefined)[] } {
  const seen: (string | undefined)[] = []
  return { reader: getAddon().openReader(fd, (bytes, error) => { seen.push(error === undefined ? bytes?.toString() : error.message) }), seen }
}

it('tells what comes through a pipe, then its end, and closes it', async () => {
  const [readFd, writeFd] = getAddon().pipe(0)
  const { reader, seen } = open(readFd)
  writeSync(writeFd, 'one')
  await expect.poll(() => seen).toEqual(['one'])
  writeSync(writeFd, 'two')
  closeSync(writeFd)
  await expect.poll(() => seen).toEqual(['one', 'two', undefined])
  expect(() => fstatSync(readFd)).toThrow(expect.objectContaining({ code: 'EBADF' }))
  expect(getAddon().closeReader(reader)).toBeUndefined()
})

it('gives at its closing what the pipe holds, and calls back no more', async () => {
  const [readFd, writeFd] = getAddon().pipe(0)
  const { reader, seen } = open(readFd)
  writeSync(writeFd, 'x'.repeat(60_000))
  expect(getAddon().closeReader(reader)).toHaveLength(60_000)
  expect(getAddon().closeReader(reader)).toBeUndefined()
  expect(() => writeSync(writeFd, 'more')).toThrow(expect.objectContaining({ code: 'EPIPE' }))
  closeSync(writeFd)
  await new Promise(setImmediate)
  expect(seen).toEqual([])
})

it('may be closed by its own callback', async () => {
  const [readFd, writeFd] = getAddon().pipe(0)
  const ended = new Promise<string | undefined>((resolve) => {
    const reader = getAddon().openReader(readFd, (bytes) => {
      getAddon().closeReader(reader)
      resolve(bytes?.toString())
    })
  })
  writeSync(writeFd, 'one')
  expect(await ended).toBe('one')
  closeSync(writeFd)
})

it('reads nothing but what can be waited for', () => {
  expect(() => open(-1)).toThrow()
})
