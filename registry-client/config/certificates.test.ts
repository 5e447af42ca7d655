import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { useTemporaryFolder } from '../../test/support/temporary-folder.ts'
import { findCertificates } from './certificates.ts'

const folder = useTemporaryFolder('certificates')

it('are found under the name with the usual port, and under no other', async () => {
  for (const name of ['reg.io:443', 'other.io:5000']) {
    await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, name, 'ca.crt'), name)
  }
  const found = await Promise.all(['reg.io', 'reg.io:5000', 'other.io', 'other.io:5000'].map((host) => findCertificates([folder], host)))
  expect(found.map(({ authorities }) => authorities)).toEqual([['reg.io:443'], [], [], ['other.io:5000']])
})
