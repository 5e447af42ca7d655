import { UsageError } from './errors.ts'
import { foreignBuilderCommands, foreignCommands } from './foreign-commands.ts'

const ofImages = ['build', 'pull', 'push', 'tag', 'history', 'save', 'load', 'import'] as const
const ofContainers = ['run', 'ps', 'exec', 'logs', 'wait', 'stop', 'kill', 'rm', 'export'] as const

/** A word says what is meant; `prune` alone removes more. */
const pruneCache: [string, readonly string[]] = ['prune', ['prune', '--filter=type=cache']]

/** Docker's words before a verb, and what each pair is called here. */
const groups: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> = new Map([
  ['image', new Map<string, readonly string[]>([...same(ofImages), ['ls', ['images']], ['list', ['images']], ['rm', ['rmi']], ['inspect', ['inspect', '--type=image']], ['prune', ['prune', '--filter=type=image']]])],
  ['container', new Map<string, readonly string[]>([...same(ofContainers), ['ls', ['ps']], ['list', ['ps']], ['inspect', ['inspect', '--type=container']], ['prune', ['rm', '--ended']]])],
  ['builder', new Map<string, readonly string[]>([...same(['build']), pruneCache])],
  ['buildx', new Map<string, readonly string[]>([...same(['build']), pruneCache, ['b', ['build']], ['du', ['df']], ['history', ['history']], ['version', ['version']], ['imagetools inspect', ['inspect', '--remote']]])],
  ['manifest', new Map<string, readonly string[]>([['inspect', ['inspect', '--remote', '--raw']]])],
])

const helpWords: readonly string[] = ['--help', '-h', 'help']

function same(verbs: readonly string[]): ReadonlyMap<string, readonly string[]> {
  return new Map(verbs.map((verb) => [verb, [verb]]))
}

/** What a verb of two words does when it is none of those there. */
const furtherRemedies: ReadonlyMap<string, string> = new Map([
  ['buildx imagetools create', 'copy an image or index under another name by "tsbuild copy --all docker://SOURCE docker://NAME"; of several platforms "tsbuild build --platform" makes one index'],
  ['manifest create', 'several --platform of "tsbuild build" make one index'], ['manifest push', '"tsbuild push" pushes an index with all its images'], ['manifest annotate', 'say --annotation to "tsbuild build"'], ['manifest rm', 'say "tsbuild rmi"'], ['manifest add', 'several --platform of "tsbuild build" make one index'],
  ['system info', 'see "tsbuild doctor", "tsbuild store" and "tsbuild df"'], ['system events', 'builds have --progress json, and containers "tsbuild ps --json"'],
  ['buildx history rm', 'records of builds go with age by themselves'], ['buildx history open', 'see "tsbuild report BUILD -o FILE"'], ['buildx history trace', 'set OTEL_EXPORTER_OTLP_ENDPOINT when it is built'], ['buildx history export', 'see "tsbuild report BUILD -o FILE"'], ['buildx history import', 'records stay where the build ran'], ['buildx history attachment', 'see "tsbuild referrers NAME"'],
])

/** `image ls -q` → `images -q`; other words stay as they are. @throws {UsageError} */
export function withoutManagementWord(args: readonly string[]): readonly string[] {
  const [first = '', verb = '', next = '', ...further] = args
  const remedy = furtherRemedies.get(`${first} ${verb}`) ?? furtherRemedies.get(`${first} ${verb} ${next}`)
  if (remedy !== undefined) throw new UsageError(`there is no "tsbuild ${args.slice(0, furtherRemedies.has(`${first} ${verb}`) ? 2 : 3).join(' ')}": ${remedy}`)
  if (first === 'system' && verb === 'df') return ['df', ...args.slice(2)]
  const verbs = groups.get(first)
  if (verbs === undefined) return args
  if (helpWords.includes(verb)) return ['help']
  const pair = verbs.get(`${verb} ${next}`)
  if (pair !== undefined) return [...pair, ...further]
  const command = verbs.get(verb)
  if (command === undefined) throw new UsageError(`"tsbuild ${first}" knows ${[...verbs.keys()].join(', ')}, not "${verb}"${instead(first, verb)}`)
  return [...command, ...args.slice(2)]
}

function instead(first: string, verb: string): string {
  const remedies = first === 'buildx' || first === 'builder' ? foreignBuilderCommands : foreignCommands
  return Object.hasOwn(remedies, verb) ? `: ${remedies[verb] ?? ''}` : ''
}
