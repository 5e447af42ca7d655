import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs this program once more, in a mount namespace of its own and with `--inside FOLDER`, which is empty and goes with what it is left with. */
export function runWithOwnMounts(program: string, name: string): void {
  const folder = mkdtempSync(join(tmpdir(), `tsbuild-${name}-`))
  try {
    const args = ['-m', '--propagation', 'private', process.execPath, program, ...process.argv.slice(2), '--inside', folder]
    process.exitCode = spawnSync('unshare', args, { stdio: 'inherit' }).status ?? 1
  } finally {
    rmSync(folder, { recursive: true })
  }
}
