import { createTask } from '../../core/task.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec, OptionValues } from '../command.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import type { Secret } from '../../registry-client/index.ts'

export const loginCommand: CommandSpec = {
  name: 'login',
  operands: '[REGISTRY]',
  minOperands: 0,
  maxOperands: 1,
  summary: 'Log in to a registry, by default Docker Hub, and keep the credentials where docker does',
  options: [
    { name: 'username', short: 'u', value: 'NAME', help: 'Who; asked for at the terminal unless given' },
    { name: 'password-stdin', help: 'Take the password or token from standard input' },
    { name: 'password', short: 'p', value: 'TEXT', help: 'The password, which other users of this machine can see in the list of processes' },
  ],
  foreignOptions: foreignOptions.login,
  examples: ['tsbuild login registry.example', 'tsbuild login -u me --password-stdin registry.example < token'],
  run: login,
}

async function login({ operands: [operand], options }: CommandInput, app: App): Promise<number> {
  const { checkLogin, normalizeRegistry, saveCredentials } = await import('../../registry-client/index.ts')
  const registry = normalizeRegistry(operand ?? 'docker.io')
  const { username, password } = await readLogin(options, app)
  const task = createTask(app)
  await checkLogin(app.env, { registry, username, password }, task)
  const place = await saveCredentials(app.env, { registry, username, password }, task)
  if (place.kind === 'file') app.note(`warning: the password lies readable in ${place.path}; a credential helper ("credsStore" in that file) would keep it safe`)
  app.print(`logged in to ${registry} as ${username}${place.kind === 'helper' ? `, kept by docker-credential-${place.name}` : ''}`)
  return 0
}

async function readLogin(options: OptionValues, app: App): Promise<{ username: string; password: Secret }> {
  const { Secret } = await import('../../registry-client/index.ts')
  const { ask, readSecret } = await import('../secret-input.ts')
  const given = options.text('password')
  checkSources(options)
  const { signal } = app
  const username = options.text('username') ?? (await ask('Username: ', { isHidden: false, signal })).trim()
  if (username === '' || username.includes(':')) throw new UsageError('a username is not empty and has no colon')
  if (options.has('password-stdin')) return { username, password: await readSecret() }
  if (given !== undefined) app.note('warning: --password shows the password to everybody who can list processes; use --password-stdin')
  const text = given ?? await ask('Password: ', { isHidden: true, signal })
  if (text === '') throw new UsageError('a password is not empty')
  return { username, password: new Secret(text) }
}

/** What is not given has to be asked for, and that takes a terminal. */
function checkSources(options: OptionValues): void {
  const isPiped = options.has('password-stdin')
  const hasName = options.has('username')
  const hasPassword = options.has('password')
  if (hasPassword && isPiped) throw new UsageError('--password and --password-stdin exclude each other')
  if (isPiped && !hasName) throw new UsageError('--password-stdin needs --username: standard input holds only the password')
  if (!process.stdin.isTTY && !(hasName && (isPiped || hasPassword))) throw new UsageError('there is no terminal to ask at: give --username and --password-stdin')
}
