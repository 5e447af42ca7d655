import { UsageError } from './errors.ts'

const ofImages = ['build', 'pull', 'push', 'tag', 'history', 'save', 'load', 'import'] as const
const ofContainers = ['run', 'ps', 'exec', 'logs', 'stop', 'kill', 'rm'] as const

/** A word says what is meant; `prune` alone removes more. */
const pruneCache: [string, readonly string[]] = ['prune', ['prune', '--filter=type=cache']]

/** Docker's words before a verb, and what each pair is called here. */
const groups: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> = new Map([
  ['image', new Map<string, readonly string[]>([...same(ofImages), ['ls', ['images']], ['list', ['images']], ['rm', ['rmi']], ['inspect', ['inspect', '--type=image']], ['prune', ['prune', '--filter=type=image']]])],
  ['container', new Map<string, readonly string[]>([...same(ofContainers), ['ls', ['ps']], ['list', ['ps']], ['inspect', ['inspect', '--type=container']]])],
  ['builder', new Map<string, readonly string[]>([...same(['build']), pruneCache])],
  ['buildx', new Map<string, readonly string[]>([...same(['build']), pruneCache, ['b', ['build']], ['du', ['df']], ['history', ['history']]])],
])

const helpWords: readonly string[] = ['--help', '-h', 'help']

function same(verbs: readonly string[]): ReadonlyMap<string, readonly string[]> {
  return new Map(verbs.map((verb) => [verb, [verb]]))
}

/** `image ls -q` → `images -q`; other words stay as they are. @throws {UsageError} */
export function withoutManagementWord(args: readonly string[]): readonly string[] {
  const [first = '', verb = '', ...rest] = args
  if (first === 'system' && verb === 'df') return ['df', ...rest]
  const verbs = groups.get(first)
  if (verbs === undefined) return args
  if (helpWords.includes(verb)) return ['help']
  const command = verbs.get(verb)
  if (command === undefined) throw new UsageError(`"tsbuild ${first}" knows ${[...verbs.keys()].join(', ')}, not "${verb}"`)
  return [...command, ...rest]
}
