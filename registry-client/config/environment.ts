import { join } from 'node:path'

/** The variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A variable's value; set but empty counts as not set. */
export function variable(env: Environment, name: string): string | undefined {
  const value = env[name]
  return value === '' ? undefined : value
}

/** A path below the home directory, or undefined when there is none. */
export function belowHome(env: Environment, ...path: readonly string[]): string | undefined {
  const home = variable(env, 'HOME')
  return home === undefined ? undefined : join(home, ...path)
}

/** A path below the user's configuration directory. @see XDG Base Directory Specification */
export function belowUserConfig(env: Environment, ...path: readonly string[]): string | undefined {
  const configHome = variable(env, 'XDG_CONFIG_HOME')
  return configHome === undefined ? belowHome(env, '.config', ...path) : join(configHome, ...path)
}
