import { describe, expect, it } from 'vitest'
import { parseMount, parseVolume } from './mount-options.ts'

describe('--mount', () => {
  it('says what --volume and --tmpfs say', () => {
    expect(parseMount('type=bind,source=/a,target=/b')).toEqual(parseVolume('/a:/b'))
    expect(parseMount('type=bind,src=./a,dst=/b,ro')).toEqual(parseVolume('./a:/b:ro'))
    expect(parseMount('type=bind,src=/a,destination=/b,readonly=false,bind-propagation=rprivate')).toEqual(parseVolume('/a:/b'))
    expect(parseMount('type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770')).toMatchObject({ kind: 'tmpfs', target: '/t', sizeBytes: 2 ** 20, mode: 0o1770, readonly: false })
  })

  it.each([
    ['source=/a,target=/b', 'not type=volume: there are no volumes'],
    ['type=bind,target=/b', 'needs source=HOST'],
    ['type=bind,source=a,target=/b', 'needs source=HOST'],
    ['type=bind,source=/a,target=b', 'needs target=DIR'],
    ['type=bind,source=/a,target=/b,tmpfs-size=1', 'not "tmpfs-size"'],
    ['type=bind,source=/a,target=/b,bind-propagation=rshared', 'not "rshared"'],
    ['type=tmpfs,target=/b,tmpfs-size=much', 'not "size=much"'],
  ])('refuses %s', (text, message) => {
    expect(() => parseMount(text)).toThrow(message)
  })
})

describe('--volume', () => {
  it('takes the words of docker that say what is so anyway', () => {
    expect(parseVolume('/a:/b:ro,z')).toEqual({ kind: 'bind', source: '/a', target: '/b', readonly: true })
    expect(parseVolume('/a:/b:rw,cached')).toMatchObject({ readonly: false })
  })

  it.each([['data:/b', 'asks for a named volume'], ['/b', 'asks for a volume without a name'], ['/a:/b:rshared', 'not "rshared"'], ['/a:b', 'takes HOST:DIR']])('refuses %s', (text, message) => {
    expect(() => parseVolume(text)).toThrow(message)
  })
})
