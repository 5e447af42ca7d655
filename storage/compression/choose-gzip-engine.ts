import { getAddon } from '../../native/index.ts'
import { GzipEngineUnavailable } from './errors.ts'
import type { GzipEngine } from './gzip-engine.ts'
import { isalEngine } from './isal-engine.ts'
import { zlibEngine } from './zlib-engine.ts'

export interface GzipChoice {
  readonly engine: GzipEngine
  /** For people: why this one. */
  readonly reason: string
}

/** ISA-L when the machine has it, else zlib, unless TSBUILD_GZIP says which. @throws {GzipEngineUnavailable} */
export function chooseGzipEngine(): GzipChoice {
  const asked = process.env['TSBUILD_GZIP'] || undefined
  if (asked !== undefined && asked !== 'isa-l' && asked !== 'zlib') throw new GzipEngineUnavailable(asked, 'there are "isa-l" and "zlib"')
  if (asked === 'zlib') return { engine: zlibEngine, reason: 'TSBUILD_GZIP asks for it' }
  const obstacle = getAddon().findIsal()
  if (obstacle === undefined) return { engine: isalEngine, reason: asked === undefined ? 'libisal.so.2 is there and works' : 'TSBUILD_GZIP asks for it' }
  if (asked === 'isa-l') throw new GzipEngineUnavailable(asked, obstacle)
  return { engine: zlibEngine, reason: obstacle }
}

/** Levels are those of zlib, so one that is asked for is zlib's affair, and gives the same bytes whether ISA-L is there or not. */
export function gzipLevel(asked: number | undefined): number {
  return asked ?? chooseGzipEngine().engine.usualLevel
}
