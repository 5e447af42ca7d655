import type { ContainerRecords, ContainerSpec } from '../runtime/index.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import type { Named } from './detached.ts'
import { createRecord } from './detached.ts'
import { UsageError } from './errors.ts'
import { parseSignal } from './signal-container.ts'

/** By which, without -d, a container in the foreground is one that other commands find. */
export const namingOptions: readonly OptionSpec[] = [
  { name: 'name', value: 'NAME', help: 'Name by which ps, exec, stop and the like find it' },
  { name: 'label', short: 'l', value: 'NAME=VALUE', isRepeatable: true, help: 'Label of the container, for ps and inspect' },
  { name: 'cidfile', value: 'FILE', help: 'Write the container\'s id to a file' },
  { name: 'stop-signal', value: 'SIGNAL', help: 'What stop sends, in place of the image\'s STOPSIGNAL' },
]

/** @returns undefined when nothing is said of it @throws {UsageError} */
export function parseNaming(options: OptionValues): Pick<Named, 'name' | 'labels' | 'cidfile' | 'stopSignal'> | undefined {
  if (!namingOptions.some(({ name }) => options.has(name))) return undefined
  const [name, stopSignal, cidfile] = ['name', 'stop-signal', 'cidfile'].map((option) => options.text(option))
  if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/u.test(name)) throw new UsageError(`option --name takes two or more letters, digits, "_", "." and "-", the first one no sign, not "${name}"`)
  if (stopSignal !== undefined) parseSignal(stopSignal)
  if (cidfile === '') throw new UsageError('option --cidfile takes a file')
  return { name, stopSignal, cidfile, labels: options.texts('label').map(parseLabel) }
}

/** A name alone is a label without a value. */
function parseLabel(text: string): string {
  if (text === '' || text.startsWith('=')) throw new UsageError(`option --label takes NAME=VALUE, not "${text}"`)
  return text.includes('=') ? text : `${text}=`
}

interface HeldNaming extends Disposable {
  readonly onSpec: (spec: ContainerSpec, stopSignal: string | undefined) => void
  readonly onStarted: (initPid: number) => void
}

/** The record of a container in the foreground, for as long as it runs. @throws {NameInUse} */
export function holdRecord(records: ContainerRecords, named: Named): HeldNaming {
  const record = { ...createRecord(named), isForeground: true }
  const held = records.create(record)
  let made: { readonly spec: ContainerSpec; readonly stopSignal: string | undefined } | undefined
  return {
    onSpec: (spec, stopSignal) => { made = { spec, stopSignal } },
    onStarted: (initPid) => {
      if (made === undefined) throw new TypeError('the container started before it was described')
      held.started({ initPid, process: made.spec.process, privilege: made.spec.privilege, stopSignal: named.stopSignal ?? made.stopSignal })
    },
    [Symbol.dispose]: () => { records.discard(record.id) },
  }
}
