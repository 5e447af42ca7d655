import { createTask } from '../../core/task.ts'
import type { Store } from '../../storage/index.ts'
import { gc, openStore } from '../../storage/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { eachName } from '../each-name.ts'
import { foreignOptions } from '../foreign-options.ts'
import { canonicalName, defaultRoot, findImage, ImageInUse, ImageNotFound } from '../../builder/index.ts'

export const rmiCommand: CommandSpec = {
  name: 'rmi',
  operands: 'IMAGE...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Remove names of images, and images that have no other name',
  options: [{ name: 'force', short: 'f', help: 'Remove an image given by id with all its names, and do not mind what is not there' }],
  foreignOptions: foreignOptions.rmi,
  examples: ['tsbuild rmi app:1', 'tsbuild rmi -f 4f1c22ab90de'],
  run: removeImages,
}

async function removeImages({ operands, options }: CommandInput, app: App): Promise<number> {
  await using store = await openStore(defaultRoot(app.env), { mayUseReserve: true })
  const isForced = options.has('force')
  const exitCode = await eachName(operands, app, (operand) => {
    try {
      return remove(store, { operand, isForced })
    } catch (error) {
      if (!isForced || !(error instanceof ImageNotFound)) throw error
      return []
    }
  })
  await gc(store, createTask(app), { dryRun: false })
  return exitCode
}

/** What was done, in Docker's words. */
function remove(store: Store, { operand, isForced }: { operand: string; isForced: boolean }): string[] {
  const image = findImage(store, operand)
  const isById = image.id.slice('sha256:'.length).startsWith(operand.replace(/^sha256:/u, ''))
  const name = isById ? undefined : canonicalName(operand)
  if (name === undefined && image.names.length > 1 && !isForced) throw new ImageInUse(operand, image.names)
  const removed = name === undefined ? image.names : [name]
  const isLast = removed.length === image.names.length
  if (isLast) store.images.remove(image.id)
  else for (const each of removed) store.images.untag(each)
  return [...removed.map((each) => `Untagged: ${each}`), ...(isLast ? [`Deleted: ${image.id}`] : [])]
}
