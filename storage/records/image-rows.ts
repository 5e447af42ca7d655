import type { Database } from './database.ts'
import { readText } from './database.ts'

/** Takes an image's row away, and all that belongs to it. In a transaction. @returns whether it was there */
export function deleteImageRows(database: Database, id: string): boolean {
  for (const table of ['names', 'image_blobs', 'image_tops']) database.run(`DELETE FROM ${table} WHERE image = ?`, id)
  return database.run('DELETE FROM images WHERE id = ?', id) > 0
}

/** The top layers of the images of an index; none of a single image's. */
export function topsOfIndex(database: Database, id: string): string[] {
  return database.all('SELECT chain_id FROM image_tops WHERE image = ? ORDER BY chain_id', id).map((row) => readText(row, 'chain_id'))
}
