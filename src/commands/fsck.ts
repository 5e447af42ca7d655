import { fsck } from '../../storage/index.ts'
import type { CommandSpec } from '../command.ts'

export const fsckCommand: CommandSpec = {
  name: 'fsck',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: 'Check everything the store holds; exit code 1 when something is wrong',
  options: [{ name: 'json', help: 'Print JSON' }],
  examples: ['tsbuild fsck'],
  run: async ({ options }, app) => {
    await using engine = await app.openEngine()
    const report = await fsck(engine.store, { signal: app.signal, emit: () => undefined })
    if (options.has('json')) app.print(JSON.stringify(report))
    else {
      for (const finding of report.findings) app.print(`${finding.check}: ${finding.object}${finding.expected === undefined ? '' : `: ${finding.actual ?? 'nothing'} instead of ${finding.expected}`}`)
      app.print(`${report.images} images, ${report.layers} layers, ${report.blobs} blobs: ${report.findings.length === 0 ? 'clean' : `${report.findings.length} problems`}`)
    }
    return report.findings.length === 0 ? 0 : 1
  },
}
