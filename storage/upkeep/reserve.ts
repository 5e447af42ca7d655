import { existsSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { Layout } from '../root/layout.ts'
import type { Size } from '../usage/space.ts'

/** Room for the database to write and for a few names, when nothing else is left. */
const fileCount = 8
const fileBytes = 512 * 1024
const fewInodes = 16
const fewBytes = 1024 * 1024

/** Takes back what was given away, as far as there is room again. */
export function fillReserve(layout: Layout): void {
  for (let index = 0; index < fileCount; index += 1) {
    const path = join(layout.reserve, `${index}`)
    if (existsSync(path)) continue
    try {
      writeFileSync(path, Buffer.alloc(fileBytes), { mode: 0o600 })
    } catch (error) {
      if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error
      rmSync(path, { force: true })
      return
    }
  }
}

/** What `fillReserve` will take. */
export function missingReserve(layout: Layout): Size {
  const there = existsSync(layout.reserve) ? readdirSync(layout.reserve).length : 0
  const missing = Math.max(0, fileCount - there)
  return { inodes: missing, bytes: missing * fileBytes }
}

/** Deleting needs some room to write: the reserve is given back when the filesystem is out of bytes or inodes. */
export function releaseReserveIfFull(layout: Layout): void {
  const { bavail, bsize, files, ffree } = statfsSync(layout.root)
  const isFull = bavail * bsize < fewBytes || (files > 0 && ffree < fewInodes)
  if (!isFull || !existsSync(layout.reserve)) return
  for (const name of readdirSync(layout.reserve)) rmSync(join(layout.reserve, name))
}
