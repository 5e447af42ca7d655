import { chmodSync, closeSync, constants, linkSync, lchownSync, lstatSync, lutimesSync, mkdirSync, openSync, readdirSync, renameSync, rmdirSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { getAddon } from '../../native/index.ts'
import { makeNode } from './make-node.ts'

const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_NONBLOCK } = constants

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

/** The same done below a folder. */
export function inFolder(folder: string, operation: TreeOperation): TreeOperation {
  const path = `${folder}/${operation.path}`
  return 'to' in operation ? { ...operation, path, to: `${folder}/${operation.to}` } : { ...operation, path }
}

/** Does it below `root`. @returns the code of the error that stopped it, as a program would see it */
export function operate(root: string, operation: TreeOperation): string | undefined {
  try {
    const act = actions[operation.do] as (path: Buffer, operation: TreeOperation, root: string) => void
    act(below(root, operation.path), operation, root)
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
    throw error
  }
}

const actions: { readonly [Name in keyof Details]: (path: Buffer, operation: Operation<Name>, root: string) => void } = {
  write: (path, operation) => { writeBytes(path, O_TRUNC, Buffer.alloc(operation.bytes, operation.path)) },
  append: (path, operation) => { writeBytes(path, O_APPEND, Buffer.alloc(operation.bytes, '+')) },
  truncate: (path, operation) => { truncateSync(path, operation.bytes) },
  mkdir: (path) => { mkdirSync(path) },
  unlink: (path) => { unlinkSync(path) },
  remove: (path) => { removeTree(path) },
  fifo: (path) => { makeNode('fifo', path) },
  device: (path) => { makeNode('device', path) },
  chmod: (path, operation) => { chmodSync(path, operation.mode) },
  chown: (path, operation) => { lchownSync(path, operation.uid, operation.uid + 1) },
  rename: (path, operation, root) => { renameSync(path, below(root, operation.to)) },
  link: (path, operation, root) => { linkSync(path, below(root, operation.to)) },
  symlink: (path, operation) => { symlinkSync(Buffer.from(operation.target, 'latin1'), path) },
  xattr: (path, operation) => { getAddon().setXattr(path, operation.name, Buffer.from(operation.value)) },
  utimes: (path, operation) => { lutimesSync(path, operation.seconds, operation.seconds) },
}

function writeBytes(path: Buffer, how: number, bytes: Buffer): void {
  // Not waiting: nobody reads from the fifos of the tree.
  const fd = openSync(path, O_WRONLY | O_CREAT | O_NONBLOCK | how)
  try {
    writeFileSync(fd, bytes)
  } finally {
    closeSync(fd)
  }
}

function removeTree(path: Buffer): void {
  if (!lstatSync(path).isDirectory()) {
    unlinkSync(path)
    return
  }
  for (const name of readdirSync(path, 'buffer')) removeTree(Buffer.concat([path, Buffer.from('/'), name]))
  rmdirSync(path)
}

function below(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')])
}
