import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('full-disk')

describe('a store on a full disk', () => {
  it.each(['bytes', 'inodes'])('says that %s ran out, and gc makes room with none left', (resource) => {
    const mountpoint = join(folder, resource)
    mkdirSync(mountpoint)
    const worker = join(import.meta.dirname, '..', 'support', 'full-disk-worker.ts')
    const script = `mount -t tmpfs -o size=24m,nr_inodes=${resource === 'inodes' ? 600 : 20_000} tmpfs "$1" && exec "$2" "$3" "$1" "$4"`
    const output = execFileSync('unshare', ['-m', 'sh', '-c', script, 'sh', mountpoint, process.execPath, worker, resource], { encoding: 'utf8' })
    const result = JSON.parse(output) as { readonly report: { readonly layers: number } }
    expect(result).toMatchObject({ failure: { code: 'STORAGE_FULL', resource }, left: 0, findings: [] })
    expect(result.report.layers).toBeGreaterThan(2)
  })
})
