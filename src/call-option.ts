import type { BuildRequest, CallMethod } from '../builder/index.ts'
import { callBuild } from '../builder/index.ts'
import type { App } from './app.ts'
import type { OptionValues } from './command.ts'
import { UsageError } from './errors.ts'

export interface Asked { readonly method: CallMethod; readonly isJson: boolean }

/** What --call, --check or --print-context ask; undefined to build. @throws {UsageError} */
export function parseCall(options: OptionValues): Asked | undefined {
  const isJson = options.text('progress') === 'json'
  if (options.has('print-context')) return { method: 'context', isJson }
  const text = options.text('call') ?? (options.has('check') ? 'check' : 'build')
  const [method = '', format, ...rest] = text.split(',')
  if (rest.length > 0 || !['build', 'check', 'lint', 'outline', 'targets'].includes(method) || ![undefined, 'format=json', 'format=text'].includes(format)) {
    throw new UsageError(`option --call takes check, outline or targets, and format=json behind a comma, not "${text}"`)
  }
  if (method === 'build') return undefined
  return { method: method === 'outline' || method === 'targets' ? method : 'check', isJson: isJson || format === 'format=json' }
}

/** Prints the answer and gives the exit code. */
export async function answerCall(request: BuildRequest, { method, isJson }: Asked, app: App): Promise<number> {
  const { answerExitCode, encodeAnswer, renderAnswer } = await import('./render/call.ts')
  await using engine = await app.openEngine()
  const answer = await callBuild(request, method, { engine, signal: app.signal })
  for (const line of isJson ? [encodeAnswer(answer)] : renderAnswer(answer)) app.print(line)
  return answerExitCode(answer)
}
