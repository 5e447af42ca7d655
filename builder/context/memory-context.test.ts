import { existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openMemoryContext } from './memory-context.ts'

describe('a context in memory', () => {
  it('lies on disk, with modes and links and no time of its own, until it is disposed of', () => {
    const memory = openMemoryContext({ context: { 'a/b.txt': 'text', bytes: Uint8Array.of(0, 255), run: { content: '#!', mode: 0o755 }, pointer: { linkTo: 'a/b.txt' } }, dockerfile: { text: 'FROM scratch' } })
    const { context, dockerfile = '' } = memory.paths
    expect(readFileSync(join(context, 'a/b.txt'), 'utf8')).toBe('text')
    expect([...readFileSync(join(context, 'bytes'))]).toEqual([0, 255])
    expect(lstatSync(join(context, 'run')).mode & 0o777).toBe(0o755)
    expect(readlinkSync(join(context, 'pointer'))).toBe('a/b.txt')
    for (const path of ['a', 'a/b.txt', 'pointer']) expect(lstatSync(join(context, path)).mtimeMs).toBe(0)
    expect(readFileSync(dockerfile, 'utf8')).toBe('FROM scratch')
    memory[Symbol.dispose]()
    expect([existsSync(context), existsSync(dockerfile)]).toEqual([false, false])
  })

  it.each(['/etc/x', '../x', 'a/../../x', '..', 'folder/'])('has no file at %j', (path) => {
    expect(() => openMemoryContext({ context: { [path]: 'x' } })).toThrow(expect.objectContaining({ code: 'BUILDER_CONTEXT_UNREADABLE' }))
  })

  it('leaves a folder and a path of the caller alone', () => {
    const memory = openMemoryContext({ context: '/nowhere', dockerfile: 'x/Dockerfile' })
    expect(memory.paths).toEqual({ context: '/nowhere', dockerfile: 'x/Dockerfile' })
    memory[Symbol.dispose]()
  })
})
