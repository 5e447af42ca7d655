import { describe, expect, it } from 'vitest'
import type { RootfsView } from '../../storage/index.ts'
import { parseChown } from '../dockerfile/values/chown.ts'
import { resolveOwner, resolveUser } from './user.ts'

const passwd = ['root:x:0:0:root:/root:/bin/sh', 'app:x:1000:1000::/home/app:/bin/sh', '1001:x:0:0:trap:/root:/bin/sh', 'broken:x:abc:0::/:', 'bare:x:7:8::', ''].join('\n')
const group = ['root:x:0:', 'app:x:1000:', 'wheel:x:10:root,app', 'video:x:44:app', '44:x:0:'].join('\n')

function viewOf(files: Readonly<Record<string, string>>): RootfsView {
  const missing = (): Promise<never> => Promise.reject(new TypeError('not used here'))
  return {
    lstat: (path) => Promise.resolve(path.toString() in files
      ? { type: 'file', mode: 0o644, uid: 0, gid: 0, sizeBytes: 1, mtimeNs: 0n, major: 0, minor: 0, fileId: '', nlink: 1, target: undefined }
      : undefined),
    resolve: (path) => Promise.resolve(Buffer.from(path)),
    readFile: (path) => Promise.resolve(Buffer.from(files[path.toString()] ?? '')),
    list: missing, xattrs: missing, content: missing,
  }
}

const owner = (text: string): ReturnType<typeof resolveOwner> => resolveOwner(view, parseChown(text, { source: { name: 'Dockerfile', text }, range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 0 } }))
const view = viewOf({ '/etc/passwd': passwd, '/etc/group': group })
const scratch = viewOf({})

describe('resolveUser', () => {
  it.each([
    ['a name, with primary and supplementary groups', 'app', { uid: 1000, gid: 1000, groups: [1000, 10, 44], home: '/home/app' }],
    ['an id known to passwd like its name', '1000', { uid: 1000, gid: 1000, groups: [1000, 10, 44], home: '/home/app' }],
    ['digits as an id even where a user has them as name', '1001', { uid: 1001, gid: 0, groups: [0], home: '/' }],
    ['an unknown id with group 0', '4242', { uid: 4242, gid: 0, groups: [0], home: '/' }],
    ['a group given, without the others', 'app:video', { uid: 1000, gid: 44, groups: [44], home: '/home/app' }],
    ['a group id', 'app:5', { uid: 1000, gid: 5, groups: [5], home: '/home/app' }],
    ['a group whose name is digits as an id', 'app:44', { uid: 1000, gid: 44, groups: [44], home: '/home/app' }],
    ['nothing as root', '', { uid: 0, gid: 0, groups: [0, 10], home: '/root' }],
    ['a user without home', 'bare', { uid: 7, gid: 8, groups: [8], home: '/' }],
    ['leading zeros as decimal', '01', { uid: 1, gid: 0, groups: [0], home: '/' }],
    ['the highest id', '4294967294', { uid: 4294967294, gid: 0, groups: [0], home: '/' }],
  ])('takes %s', async (_, text, expected) => {
    await expect(resolveUser(view, text)).resolves.toEqual(expected)
  })

  it.each(['nobody', 'app:nogroup', '4294967295', '4294967296', '-1', '+1', '1e3', '0x0', '1 ', '1:', ':', 'a:b:c', '9'.repeat(5000), 'broken'])('refuses %j', async (text) => {
    await expect(resolveUser(view, text)).rejects.toMatchObject({ code: 'BUILDER_USER_UNKNOWN' })
  })

  it('takes root and ids on an image without account files', async () => {
    await expect(resolveUser(scratch, 'root')).resolves.toMatchObject({ uid: 0, gid: 0 })
    await expect(resolveUser(scratch, '5:6')).resolves.toMatchObject({ uid: 5, gid: 6 })
    await expect(resolveUser(scratch, 'app')).rejects.toMatchObject({ code: 'BUILDER_USER_UNKNOWN' })
  })
})

describe('resolveOwner', () => {
  it('gives a user alone the group of the same number', async () => {
    await expect(owner('bare')).resolves.toEqual({ uid: 7, gid: 7 })
    await expect(owner('12')).resolves.toEqual({ uid: 12, gid: 12 })
    await expect(owner('app:wheel')).resolves.toEqual({ uid: 1000, gid: 10 })
    await expect(owner('app:')).resolves.toEqual({ uid: 1000, gid: 0 })
    await expect(owner(':wheel')).resolves.toEqual({ uid: 0, gid: 10 })
  })

  it.each(['nobody', 'app:nogroup'])('refuses %j', async (text) => {
    await expect(owner(text)).rejects.toMatchObject({ code: 'BUILDER_USER_UNKNOWN', user: text })
  })
})
