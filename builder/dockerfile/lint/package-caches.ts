/** A package manager that leaves its cache behind. */
export interface CacheLeft {
  readonly manager: string
  readonly remedy: string
}

interface Manager {
  readonly manager: string
  readonly programs: readonly string[]
  /** The words that make the program fill its cache. */
  readonly fills: readonly string[]
  /** A word of the same command that keeps it from doing so begins like this. */
  readonly prevents: readonly string[]
  /** The program, or another of the family, cleans up after itself when called with these words. */
  readonly cleans: readonly string[]
  /** Directories of the cache: removed, or mounted over, they leave nothing. The first few characters of a path count for `rm`. */
  readonly directories: readonly string[]
  /** Variables that move the cache or switch it off. */
  readonly variables: readonly string[]
  readonly remedy: string
}

const managers: readonly Manager[] = [
  {
    manager: 'apt', programs: ['apt', 'apt-get', 'aptitude'], fills: ['update', 'install', 'upgrade', 'dist-upgrade', 'full-upgrade'], prevents: [], cleans: [],
    directories: ['/var/lib/apt', '/var/lib/apt/lists'], variables: [], remedy: 'end the step with rm -rf /var/lib/apt/lists/*, or mount caches over /var/lib/apt and /var/cache/apt',
  },
  {
    manager: 'apk', programs: ['apk'], fills: ['add', 'update', 'upgrade'], prevents: ['--no-cache'], cleans: ['cache', 'purge'],
    directories: ['/var/cache/apk', '/etc/apk/cache'], variables: [], remedy: 'add --no-cache',
  },
  {
    manager: 'dnf', programs: ['dnf', 'dnf5', 'microdnf', 'yum', 'tdnf'], fills: ['install', 'update', 'upgrade', 'groupinstall', 'makecache'], prevents: [], cleans: ['clean'],
    directories: ['/var/cache/dnf', '/var/cache/yum', '/var/cache/libdnf5'], variables: [], remedy: 'end the step with dnf clean all, or mount a cache over /var/cache/dnf',
  },
  {
    manager: 'pip', programs: ['pip', 'pip2', 'pip3'], fills: ['install', 'download', 'wheel'], prevents: ['--no-cache-dir', '--cache-dir'], cleans: ['cache', 'purge'],
    directories: ['/root/.cache/pip', '/root/.cache', '~/.cache', '$HOME/.cache'], variables: ['PIP_NO_CACHE_DIR', 'PIP_CACHE_DIR', 'XDG_CACHE_HOME'], remedy: 'add --no-cache-dir, or mount a cache over /root/.cache/pip',
  },
  {
    manager: 'npm', programs: ['npm'], fills: ['i', 'install', 'ci', 'add', 'clean-install'], prevents: ['--cache'], cleans: ['cache', 'clean'],
    directories: ['/root/.npm', '~/.npm', '$HOME/.npm'], variables: ['NPM_CONFIG_CACHE', 'npm_config_cache'], remedy: 'end the step with npm cache clean --force, or mount a cache over /root/.npm',
  },
]

/** What a step leaves in its layer. `mounted` are the targets of its cache and tmpfs mounts, `variables` the names set for it. */
export function findCachesLeft(script: string, { mounted, variables }: { readonly mounted: readonly string[]; readonly variables: ReadonlyMap<string, string> }): CacheLeft[] {
  const commands = simpleCommands(script)
  return managers.flatMap((known) => {
    const leaves = commands.some((command) => isFilling(command, known)) && !commands.some((command) => isCleaning(command, known))
    const isElsewhere = known.directories.some((directory) => mounted.includes(directory)) || known.variables.some((name) => variables.has(name))
    return leaves && !isElsewhere ? [{ manager: known.manager, remedy: known.remedy }] : []
  })
}

function isFilling([program = '', ...words]: readonly string[], { programs, fills, prevents }: Manager): boolean {
  const verb = words.find((word) => !word.startsWith('-')) ?? ''
  return programs.includes(program) && fills.includes(verb) && !words.some((word) => prevents.some((option) => word.startsWith(option)))
}

function isCleaning([program = '', ...words]: readonly string[], { programs, cleans, directories }: Manager): boolean {
  if (program === 'rm') return words.map((word) => word.replace(/^["']|["']$/gu, '')).some((word) => directories.some((directory) => isRemoved(directory, word)))
  return programs.includes(program) && cleans.length > 0 && cleans.every((word) => words.includes(word))
}

/** Something in the directory, the directory, or one that holds it. */
function isRemoved(directory: string, word: string): boolean {
  return word.startsWith(directory) || directory.startsWith(`${word.replace(/\/\*?$/u, '')}/`)
}

const prefixes: ReadonlySet<string> = new Set(['sudo', 'env', 'exec', 'time', 'command', 'then', 'do', 'else', 'if', '!', 'set'])

/** The words of each command between `;`, `&`, `|`, brackets and line ends, from its program on. Quotes are not looked into. */
function simpleCommands(script: string): string[][] {
  return script.replaceAll('\\\n', ' ').split(/[;&|\n(){}]+/u).map((part) => {
    const words = part.split(/\s+/u).filter((word) => word !== '')
    const first = words.findIndex((word) => !prefixes.has(word) && !/^[A-Za-z_]\w*=/u.test(word))
    const [program = '', ...rest] = first === -1 ? [] : words.slice(first)
    const name = program.slice(program.lastIndexOf('/') + 1)
    return /^python[\d.]*$/u.test(name) && rest[0] === '-m' ? rest.slice(1) : [name.replace(/^(pip)[\d.]+$/u, '$1'), ...rest]
  })
}
