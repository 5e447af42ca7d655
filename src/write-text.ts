import { lstatSync, rmSync, writeFileSync } from 'node:fs'
import { writeThere } from '../builder/index.ts'

/** Writes a small file that somebody asked for, also a device. Nothing of it stays where there is no room for all. @throws {OutputConflict} */
export async function writeText(path: string, text: string): Promise<void> {
  await writeThere(path, () => {
    try {
      writeFileSync(path, text)
    } catch (error) {
      if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === true) rmSync(path)
      throw error
    }
    return Promise.resolve()
  })
}
