import { readFileSync } from 'node:fs'
import type { Task } from '../../core/task.ts'
import { createDigester, digestAsDiffId } from '../../oci/digest.ts'
import { LayerDamaged } from '../errors.ts'
import type { StoredLayer } from '../layer/stored-layer.ts'
import type { Database } from '../records/database.ts'
import { readText } from '../records/database.ts'
import type { Layout } from '../root/layout.ts'
import { readFilePieces } from './read-file-pieces.ts'

/**
 * Compares the tars of layers with their diffIDs before they are mounted for the first time since the machine was booted:
 * what a mount serves are the bytes of those files, and nobody else looks at all of them.
 */
export class LayerVerifier {
  readonly #layout: Layout
  readonly #database: Database

  constructor(layout: Layout, database: Database) {
    this.#layout = layout
    this.#database = database
  }

  /** Only layers that are kept as tars. @throws {LayerDamaged} */
  async verify(stack: readonly StoredLayer[], task: Task): Promise<void> {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const verified = this.#verified(boot)
    for (const layer of stack) {
      if (layer.origin !== 'indexed' || verified.has(layer.dir ?? '')) continue
      const digester = createDigester()
      for await (const piece of readFilePieces(this.#layout.layerTar(layer.dir ?? ''), task)) digester.update(piece)
      const diffId = digestAsDiffId(digester.finish())
      if (diffId !== layer.diffId) throw new LayerDamaged(layer, diffId)
      this.#remember(boot, layer.dir ?? '')
    }
  }

  #verified(boot: string): ReadonlySet<string> {
    const row = this.#database.get("SELECT value FROM settings WHERE name = 'verified-layers'")
    const [since, ...dirs] = row === undefined ? [] : readText(row, 'value').split(' ')
    return new Set(since === boot ? dirs : [])
  }

  /** Numbers of layers are never used again. */
  #remember(boot: string, dir: string): void {
    this.#database.transaction('quick', () => {
      this.#database.run("INSERT OR REPLACE INTO settings VALUES ('verified-layers', ?)", [boot, ...this.#verified(boot), dir].join(' '))
    })
  }
}
