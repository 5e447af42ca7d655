import { describe, expect, it } from 'vitest'
import { DockerfileError } from '../errors.ts'
import type { RunMount } from './run-mount.ts'
import { parseRunMount, readMountFrom, resolveMountTarget } from './run-mount.ts'

const range = { startLine: 1, startColumn: 12, endLine: 1, endColumn: 40 }
const source = { name: 'Dockerfile', text: '' }
const variables = new Map([['t', '/x'], ['comma', 'a,b'], ['type', 'CACHE'], ['yes', 'true']])
const parse = (text: string): RunMount => parseRunMount({ text, range }, variables, { source, directives: { escape: '\\' } }).mount

function refusal(text: string): DockerfileError {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof DockerfileError) return error
    throw error
  }
  throw new Error(`${text} was not refused`)
}

describe('parseRunMount', () => {
  it('gives every type its defaults', () => {
    expect(parse('target=/x')).toEqual({ type: 'bind', target: '/x', source: '', from: undefined, isReadOnly: true })
    expect(parse('type=cache,target=/x')).toEqual({
      type: 'cache', target: '/x', id: undefined, source: '', from: undefined, sharing: 'shared', isReadOnly: false, mode: 0o755, uid: 0, gid: 0, isOwned: false,
    })
    expect(parse('type=cache,target=/x,gid=7')).toMatchObject({ uid: 0, gid: 7, isOwned: true })
    expect(parse('type=tmpfs,target=/x')).toEqual({ type: 'tmpfs', target: '/x', sizeBytes: undefined, isReadOnly: false })
    expect(parse('type=secret,id=key')).toEqual({ type: 'secret', id: 'key', target: '/run/secrets/key', env: undefined, isRequired: false, mode: 0o400, uid: 0, gid: 0 })
    expect(parse('type=ssh')).toEqual({ type: 'ssh', id: 'default', target: undefined, isRequired: false, mode: 0o600, uid: 0, gid: 0 })
  })

  it.each([
    ['type=bind,src=a,dst=/x,rw', { source: 'a', target: '/x', isReadOnly: false }],
    ['source=a,destination=x,ro=0', { target: 'x', isReadOnly: false }],
    ['from=base,source=/s,target=/x,readwrite=true', { from: 'base', isReadOnly: false }],
    ['target=/x,rw,ro', { isReadOnly: true }],
    ['target=/x,ro,rw', { isReadOnly: false }],
    ['type=cache,target=/x,ro,rw=true', { isReadOnly: false }],
    ['TYPE=BIND,Target=/x', { type: 'bind', target: '/x' }],
    ['target=/x,target=/y', { target: '/y' }],
    ['type=cache,id=go,target=/x,sharing=LOCKED,mode=0700,uid=1000,gid=4294967294,ro', { id: 'go', sharing: 'locked', mode: 0o700, uid: 1000, gid: 4294967294, isReadOnly: true }],
    ['type=cache,target=/x,from=base,source=/seed', { from: 'base', source: '/seed' }],
    ['type=tmpfs,target=/x,size=1.5g,rw', { sizeBytes: 1.5 * 2 ** 30, isReadOnly: false }],
    ['type=tmpfs,target=/x,ro', { isReadOnly: true }],
    ['required,type=secret,id=a', { isRequired: true }],
    ['type=secret,id=a,required=false,mode=0444', { isRequired: false, mode: 0o444 }],
    ['type=secret,source=dir/a', { id: 'dir/a', target: '/run/secrets/a' }],
    ['type=secret,target=/etc/pw', { id: 'pw', target: '/etc/pw' }],
    ['type=secret,id=a,env=PW', { env: 'PW', target: undefined }],
    ['type=secret,id=a,env=PW,target=/pw,readonly', { env: 'PW', target: '/pw' }],
    ['type=ssh,id=k,target=/a,required=1,mode=0666,uid=5', { id: 'k', target: '/a', isRequired: true, mode: 0o666, uid: 5 }],
    ['type=$type,target=$t,ro=$yes', { type: 'cache', target: '/x', isReadOnly: true }],
    ['target=/$comma', { target: '/a,b' }],
    ['"target=/a,b",source="', undefined],
    ['type=tmpfs,"target=/a,b"', { target: '/a,b' }],
    ['"target=/say ""hi"" x"', { target: '/say hi x' }],
    ['target=/x,from=a$', { from: 'a$' }],
  ])('reads %s', (text, expected) => {
    if (expected === undefined) expect(refusal(text).rule).toBe('mount')
    else expect(parse(text)).toMatchObject(expected)
  })

  it.each([
    ['type=cache,foo=1,target=/x', 'no key "foo"'], ['type=cach,target=/x', 'type is "cach"'], ['type=tmpfs,target', 'target has no value'],
    ['type=tmpfs,,target=/x', 'a field is empty'], ['type=tmpfs,target=/x,', 'a field is empty'], ['', 'a field is empty'],
    ['type=tmpfs,target=/x,mode=0700', 'a tmpfs mount has no mode'], ['target=/x,id=a', 'a bind mount has no id'], ['type=cache,target=/x,size=1m', 'a cache mount has no size'],
    ['type=secret,id=x,from=y', 'a secret mount has no from'], ['type=ssh,sharing=shared', 'a ssh mount has no sharing'], ['target=/x,sharing=locked', 'a bind mount has no sharing'],
    ['target=/x,env=A', 'a bind mount has no env'], ['type=cache,target=/x,required', 'a cache mount has no required'], ['type=cache,target=/x,sharing=none', 'sharing is "none"'],
    ['type=cache,target=/x,ro=yes', 'readonly is "yes"'], ['type=cache,target=/x,mode=999', 'mode is "999"'], ['type=cache,target=/x,mode=17777', 'mode is "17777"'],
    ['type=cache,target=/x,uid=-1', 'uid is "-1"'], ['type=cache,target=/x,uid=root', 'uid is "root"'], ['type=cache,target=/x,gid=4294967295', 'gid is "4294967295"'],
    ['type=secret', 'names no secret'], ['type=secret,id=x,source=y', 'both id and source'], ['type=secret,id=x,rw', 'a secret mount has no readwrite'], ['type=ssh,readonly=false', 'cannot be writable'],
    ['from=$t,target=/x', 'from takes no variables'], ['from=${t},target=/x', 'from takes no variables'], ['type=tmpfs,target=/x,size=1q', 'no size'],
    ['target=a"b', 'inside a field'], ['"target=/x"y', 'closing double quote'], ['"target=/x', 'not closed'], ['target=/x,bind-propagation=rshared', 'no key "bind-propagation"'],
  ])('refuses %s because %s', (text, words) => {
    expect(refusal(text).problem).toContain(words)
  })

  it('suggests the nearest key, type and mode of sharing', () => {
    expect([refusal('type=cache,traget=/x'), refusal('type=bnid,target=/x'), refusal('type=cache,target=/x,sharing=lock')].map(({ suggestion }) => suggestion)).toEqual(['target', 'bind', 'locked'])
  })

  it('reports the names it read', () => {
    const { used, unset } = parseRunMount({ text: 'type=$type,target=$t,id=$none', range }, variables, { source, directives: { escape: '\\' } })
    expect([[...used], [...unset]]).toEqual([['type', 't'], ['none']])
  })
})

describe('readMountFrom', () => {
  it('knows the origin before any variable is known', () => {
    expect(readMountFrom('type=$x,from=base,target=$y', { source, range })).toBe('base')
    expect(readMountFrom('type=cache,target=/x,from=', { source, range })).toBeUndefined()
  })
})

describe('resolveMountTarget', () => {
  it.each([['/x', '/w', '/x'], ['x/../y', '/w', '/w/y'], ['', '/w', '/w'], ['../../..//a/.', '/w', '/a'], ['/..//x/', '/', '/x']])('puts %j seen from %s at %s', (target, workdir, expected) => {
    expect(resolveMountTarget(target, workdir, { source, range })).toBe(expected)
  })

  it('refuses to cover the root directory', () => {
    for (const [target, workdir] of [['/', '/w'], ['', '/'], ['..', '/w'], ['/a/..', '/']] as const) {
      expect(() => resolveMountTarget(target, workdir, { source, range })).toThrow(expect.objectContaining({ rule: 'mount' }))
    }
  })
})
