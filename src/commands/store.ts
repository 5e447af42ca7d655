import { createTask } from '../../core/task.ts'
import { convertLayers, describeDriver, describeFormat } from '../../storage/index.ts'
import type { CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'

export const storeCommand: CommandSpec = {
  name: 'store',
  operands: '[convert]',
  minOperands: 0,
  maxOperands: 1,
  summary: 'Say how layers are kept, or keep all of them another way: unpacked (overlay), as tar and EROFS image (erofs), or as suits each (auto)',
  options: [{ name: 'to', value: 'FORMAT', help: 'overlay, erofs or auto; with convert' }, { name: 'json', help: 'Print JSON' }],
  examples: ['tsbuild store', 'tsbuild store convert --to erofs'],
  run: async ({ operands: [verb], options }, app) => {
    const to = options.text('to')
    if (verb !== undefined && verb !== 'convert') throw new UsageError(`unknown operand "${verb}": there is "convert"`)
    if ((verb === 'convert') !== (to !== undefined)) throw new UsageError('"convert" and "--to" go together')
    if (to !== undefined && to !== 'overlay' && to !== 'erofs' && to !== 'auto') throw new UsageError(`unknown format "${to}": there are "overlay", "erofs" and "auto"`)
    await using engine = await app.openEngine()
    if (to === undefined) {
      const { driver, reason: driverReason } = describeDriver(engine.store)
      const { chosen, reason, erofs, layers } = await describeFormat(engine.store)
      if (options.has('json')) app.print(JSON.stringify({ chosen, reason, erofs, layers, driver, driverReason }))
      else {
        app.print(`new layers: ${chosen}, since ${reason}`)
        app.print(`layers: ${layers.overlay} unpacked, ${layers.erofs} as tar and EROFS image`)
        app.print(`EROFS: ${erofs.kind === 'unavailable' ? `not here: ${erofs.reason}` : erofs.backing === 'file' ? 'mounted from files' : 'mounted by loop devices'}`)
        app.print(`snapshots: by ${driver}, since ${driverReason}`)
      }
      return 0
    }
    const report = await convertLayers(engine.store, to, createTask(app))
    if (options.has('json')) app.print(JSON.stringify(report))
    else app.print(`${report.converted} layers converted, ${report.unchanged} were so already${report.inUse === 0 ? '' : `, ${report.inUse} are in use: convert again later`}`)
    return report.inUse === 0 ? 0 : 1
  },
}
