import { createReadStream, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import { createFileSink } from '../archive/archive-sink.ts'
import { loadImages } from '../archive/load.ts'
import { saveImages } from '../archive/save.ts'
import type { Engine } from '../engine.ts'
import { readBuildEvents } from '../record/build-record.ts'
import { fromWire } from '../record/wire-event.ts'
import type { KeptStep } from './kept-step.ts'
import { readKeptStep, writeKeptStep } from './kept-step.ts'

const imagesFile = 'images.tar'

/**
 * Writes a failed step so that somebody else can stand where it failed: a folder with `failure.json` (the step, its
 * container and its mounts), `images.tar` (an OCI archive with its layers) and `log.txt`.
 */
export async function writeBundle(engine: Engine, { kept, folder }: { readonly kept: KeptStep; readonly folder: string }, task: Task): Promise<void> {
  mkdirSync(folder, { mode: 0o700 })
  writeKeptStep(folder, kept)
  writeFileSync(join(folder, 'log.txt'), Buffer.concat(readBuildEvents(engine.store.root, kept.build).map(fromWire).flatMap((event) => event.type === 'node-output' ? [event.bytes] : [])))
  await saveImages(engine, { images: kept.images, format: 'oci-archive', sink: await createFileSink(join(folder, imagesFile)) }, task)
}

/** Brings a bundle's layers into the store. */
export async function readBundle(engine: Engine, folder: string, task: Task): Promise<KeptStep> {
  const kept = readKeptStep(folder, folder)
  await loadImages(engine, { archive: createReadStream(join(folder, imagesFile)), platform: undefined }, task)
  return kept
}

export function isBundle(path: string): boolean {
  return existsSync(join(path, imagesFile))
}
