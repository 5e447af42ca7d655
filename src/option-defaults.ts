import type { OptionValues } from './command.ts'
import { loadConfig } from './config.ts'

/** Options of which another one given on the command line decides as well. */
const decidedTogether: readonly (readonly string[])[] = [['isolation', 'runtime'], ['memory', 'memory-swap']]

/** The options with what section containers of the configuration file says where they say nothing. @throws {UsageError} */
export async function withDefaults(options: OptionValues, env: NodeJS.ProcessEnv): Promise<OptionValues> {
  const { containers } = await loadConfig(env)
  const texts = (name: string): readonly string[] => {
    const given = options.texts(name)
    if (given.length > 0 || !containers.has(name)) return given
    const isDecided = decidedTogether.some((group) => group.includes(name) && group.some((other) => options.has(other)))
    return isDecided ? [] : containers.get(name) ?? []
  }
  return { has: (name) => texts(name).length > 0, text: (name) => texts(name).at(-1), texts }
}
