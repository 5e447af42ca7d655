/** Installs what a script needs of the system, where that can be done, and says what to install where it cannot. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

export interface SystemPackage {
  /** Debian's name. */
  readonly name: string
  /** Files that are there when it is. */
  readonly provides: readonly string[]
}

/** @returns the packages still missing, after what could be done */
export function ensurePackages(packages: readonly SystemPackage[]): SystemPackage[] {
  const missing = packages.filter(isMissing)
  if (missing.length === 0) return []
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return missing
  const names = missing.map(({ name }) => name)
  console.log(`installing ${names.join(', ')} with apt-get`)
  aptGet(['update', '-qq'])
  aptGet(['install', '-y', '-qq', '--no-install-recommends', ...names])
  return missing.filter(isMissing)
}

function isMissing({ provides }: SystemPackage): boolean {
  return !provides.some((path) => existsSync(path))
}

function aptGet(args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync('apt-get', args, { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
  if (status !== 0) console.error(`apt-get ${args.join(' ')} failed:\n${stdout}${stderr}`)
}
