import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** A folder of this test file's own, deleted after its tests, whatever a test put there. */
export function useTemporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `tsbuild-test-${name}-`))
  afterAll(() => {
    execFileSync('rm', ['-rf', folder])
  })
  return folder
}
