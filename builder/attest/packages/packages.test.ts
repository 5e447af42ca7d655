import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readApk } from './apk.ts'
import { readDpkg } from './dpkg.ts'
import { readNpm } from './npm.ts'
import { parseOsRelease } from './package.ts'
import { readPip } from './pip.ts'
import { readRpm } from './rpm.ts'

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

describe('rpm', () => {
  const database = gunzipSync(readFileSync(join(import.meta.dirname, '../../../testdata/rpm/rpmdb.sqlite.gz')))
  const read = (given: Uint8Array): ReturnType<typeof readRpm> => readRpm({ path: '/db', bytes: given, log: new Uint8Array(), distribution: { id: 'fedora', version: '39' } })
  const made = (sql: string): Buffer => {
    const folder = mkdtempSync(join(tmpdir(), 'tsbuild-rpm-test-'))
    const sqlite = new DatabaseSync(join(folder, 'db'))
    sqlite.exec(sql)
    sqlite.close()
    const file = readFileSync(join(folder, 'db'))
    rmSync(folder, { recursive: true })
    return file
  }

  it('lists what a database that rpm wrote has', () => {
    expect(read(database)).toEqual({
      packages: [
        { name: 'tools', version: '0.1-1', purl: 'pkg:rpm/fedora/tools@0.1-1?arch=noarch&distro=fedora-39&upstream=tools-0.1-1.src.rpm', license: 'Very own', homepage: undefined, foundAt: '/db' },
        { name: 'hello', version: '1:2.10-3.fc39', purl: 'pkg:rpm/fedora/hello@2.10-3.fc39?arch=noarch&distro=fedora-39&epoch=1&upstream=hello-2.10-3.fc39.src.rpm', license: 'GPL-3.0-or-later', homepage: 'https://example.org/hello', foundAt: '/db' },
      ],
      problems: [],
    })
  })

  it('names what is no database, and runs nothing of one', () => {
    expect(read(Buffer.from('no database')).problems).toEqual([expect.stringMatching(/^\/db: it is no database of rpm/u) as string])
    expect(read(made('CREATE VIEW Packages AS WITH RECURSIVE endless(blob) AS (SELECT 1 UNION ALL SELECT blob + 1 FROM endless) SELECT blob FROM endless WHERE blob < 0')).problems).toEqual(['/db: it has no table of packages'])
    expect(read(made("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB); INSERT INTO Packages VALUES (1, x'ffffffffffffffff'), (2, x'00'), (3, 'text'), (4, x'0000000100000004000003e80000000600000063000000016c6f6e67')")))
      .toEqual({ packages: [], problems: ['/db: 4 headers have no name or version'] })
    expect(read(database.subarray(0, 90_000)).problems).not.toEqual([])
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
