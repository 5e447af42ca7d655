import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, linkSync, lchownSync, lutimesSync, mkdirSync, renameSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { getAddon } from '../../native/index.ts'

/** What each kind of operation needs besides its path. */
interface Details {
  write: { readonly bytes: number }
  append: { readonly bytes: number }
  truncate: { readonly bytes: number }
  mkdir: unknown
  unlink: unknown
  remove: unknown
  fifo: unknown
  device: unknown
  chmod: { readonly mode: number }
  chown: { readonly uid: number }
  rename: { readonly to: string }
  link: { readonly to: string }
  symlink: { readonly target: string }
  xattr: { readonly name: string; readonly value: string }
  utimes: { readonly seconds: number }
}

type Operation<Name extends keyof Details> = { readonly do: Name; readonly path: string } & Details[Name]

/** What a process in a container may do to its files. Paths are Latin-1, relative to the root. */
export type TreeOperation = { [Name in keyof Details]: Operation<Name> }[keyof Details]

/** Does it below `root`. @returns the code of the error that stopped it, as a program would see it */
export function operate(root: string, operation: TreeOperation): string | undefined {
  try {
    const act = actions[operation.do] as (path: Buffer, operation: TreeOperation, root: string) => void
    act(below(root, operation.path), operation, root)
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
    if (error instanceof Error && 'status' in error) return 'EXEC'
    throw error
  }
}

const actions: { readonly [Name in keyof Details]: (path: Buffer, operation: Operation<Name>, root: string) => void } = {
  write: (path, operation) => { writeFileSync(path, Buffer.alloc(operation.bytes, operation.path)) },
  append: (path, operation) => { appendFileSync(path, Buffer.alloc(operation.bytes, '+')) },
  truncate: (path, operation) => { truncateSync(path, operation.bytes) },
  mkdir: (path) => { mkdirSync(path) },
  unlink: (path) => { unlinkSync(path) },
  remove: (path) => { execFileSync('rm', ['-r', '--', toText(path)], { stdio: 'ignore' }) },
  fifo: (path) => { execFileSync('mkfifo', ['--', toText(path)], { stdio: 'ignore' }) },
  device: (path) => { execFileSync('mknod', ['--', toText(path), 'c', '1', '3'], { stdio: 'ignore' }) },
  chmod: (path, operation) => { chmodSync(path, operation.mode) },
  chown: (path, operation) => { lchownSync(path, operation.uid, operation.uid + 1) },
  rename: (path, operation, root) => { renameSync(path, below(root, operation.to)) },
  link: (path, operation, root) => { linkSync(path, below(root, operation.to)) },
  symlink: (path, operation) => { symlinkSync(Buffer.from(operation.target, 'latin1'), path) },
  xattr: (path, operation) => { getAddon().setXattr(path, operation.name, Buffer.from(operation.value)) },
  utimes: (path, operation) => { lutimesSync(path, operation.seconds, operation.seconds) },
}

function below(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')])
}

/** For calls that take text only: names that are not UTF-8 are not reached by them, and fail. */
function toText(path: Buffer): string {
  return path.toString('utf8')
}
