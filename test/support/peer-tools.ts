import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/**
 * Tools of others, to judge ours by. They are taken from the PATH, or run by the command in TSBUILD_PEERS, which may be
 * one that enters another root; TSBUILD_PEERS_SHARE=HOST:INSIDE then names a folder that both see.
 */
export interface PeerTools {
  /** A folder of this test file that the tools see. */
  readonly folder: string
  run(tool: string, ...args: string[]): string
  /** What the tools call a path below `folder`. */
  inside(path: string): string
}

export function usePeerTools(...tools: string[]): PeerTools {
  const prefix = (process.env['TSBUILD_PEERS'] ?? '').split(' ').filter((word) => word !== '')
  const [host = tmpdir(), inside = host] = (process.env['TSBUILD_PEERS_SHARE'] ?? '').split(':').filter((part) => part !== '')
  const run = (tool: string, ...args: string[]): string => {
    const [file = '', ...rest] = [...prefix, tool, ...args]
    return execFileSync(file, rest, { encoding: 'utf8', maxBuffer: 1 << 28 })
  }
  for (const tool of tools) {
    try {
      run(tool, '--version')
    } catch (error) {
      throw new Error(`this test needs ${tools.join(' and ')}: install them (Debian: apt-get install ${tools.join(' ')}), or say in TSBUILD_PEERS how to run them`, { cause: error })
    }
  }
  const folder = mkdtempSync(join(host, 'tsbuild-test-peers-'))
  afterAll(() => { rmSync(folder, { recursive: true, force: true }) })
  return { folder, run, inside: (path) => `${inside}${path.slice(host.length)}` }
}
