import { describe, expect, it } from 'vitest'
import { readApk } from './apk.ts'
import { readDpkg } from './dpkg.ts'
import { readNpm } from './npm.ts'
import { parseOsRelease } from './package.ts'
import { readPip } from './pip.ts'

const debian = parseOsRelease('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n')
const bytes = (text: string): Buffer => Buffer.from(text)

describe('dpkg', () => {
  const read = (text: string): ReturnType<typeof readDpkg> => readDpkg({ path: '/var/lib/dpkg/status', text, distribution: debian })

  it('lists what is installed, with the source it was built from', () => {
    const status = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u4
Description: C library
 Package: not-a-field
 .
 more
Homepage: https://www.gnu.org/

Package: gone
Status: deinstall ok config-files
Version: 1

Package: g++
Status: hold ok installed
Version: 4:12.2.0
`
    expect(read(status)).toEqual({
      packages: [
        { name: 'libc6', version: '2.36-9+deb12u4', purl: 'pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc%402.36-9', license: undefined, homepage: 'https://www.gnu.org/', foundAt: '/var/lib/dpkg/status' },
        { name: 'g++', version: '4:12.2.0', purl: 'pkg:deb/debian/g%2B%2B@4:12.2.0?distro=debian-12', license: undefined, homepage: undefined, foundAt: '/var/lib/dpkg/status' },
      ],
      problems: [],
    })
  })

  it('names what it does not understand, and reads status.d, which says no state', () => {
    expect(read('Package: x\n\nnonsense')).toEqual({ packages: [], problems: ['/var/lib/dpkg/status: an entry has no package or version'] })
    expect(read('Package: base-files\nVersion: 12\r\n').packages).toMatchObject([{ name: 'base-files', version: '12' }])
  })
})

describe('apk', () => {
  it('lists packages, not the files after them', () => {
    const text = 'C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nU:https://musl.libc.org/\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n\nP:broken\n\n'
    expect(readApk({ path: '/lib/apk/db/installed', text, distribution: { id: 'alpine', version: '3.18.4' } })).toEqual({
      packages: [{ name: 'musl', version: '1.2.4-r2', purl: 'pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18.4&upstream=musl', license: 'MIT', homepage: 'https://musl.libc.org/', foundAt: '/lib/apk/db/installed' }],
      problems: ['/lib/apk/db/installed: an entry has no package or version'],
    })
  })
})

describe('npm', () => {
  it('reads a scope, and a license of either form', () => {
    expect(readNpm('/p', bytes('{"name":"@types/node","version":"20.1.0","license":{"type":"MIT"}}')).packages).toMatchObject([{ purl: 'pkg:npm/%40types/node@20.1.0', license: 'MIT' }])
    expect(readNpm('/p', bytes('{"name":"ms","version":"2.1.3","license":"ISC","homepage":7}')).packages).toMatchObject([{ purl: 'pkg:npm/ms@2.1.3', license: 'ISC', homepage: undefined }])
  })

  it('names what is no package', () => {
    for (const text of ['{', '[]', '{"name":"a"}', '{"version":"1"}', '{"name":"a","version":""}', '{"name":"a","name":"b","version":"1"}']) {
      expect(readNpm('/p', bytes(text)), text).toMatchObject({ packages: [], problems: [expect.stringMatching(/^\/p: /u) as string] })
    }
  })
})

describe('pip', () => {
  it('reads headers and not the description after them', () => {
    const text = 'Metadata-Version: 2.1\nName: Flask_Login.x\nVersion: 0.6.3\nLicense: MIT\n        and more\nClassifier: a\nClassifier: b\n\nName: other\nVersion: 9\n'
    expect(readPip('/p', text).packages).toEqual([{ name: 'Flask_Login.x', version: '0.6.3', purl: 'pkg:pypi/flask-login-x@0.6.3', license: 'MIT', homepage: undefined, foundAt: '/p' }])
    expect(readPip('/p', 'Name: x\n\nVersion: 1\n').problems).toEqual(['/p: it has no name or version'])
  })
})
