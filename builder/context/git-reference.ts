/** Where files in a git repository are. */
export interface GitReference {
  /** What git fetches from: no query, no fragment. */
  readonly remote: string
  /** A branch, a tag or a commit; undefined is the remote's HEAD. */
  readonly ref: string | undefined
  /** Relative and clean; empty is the whole. */
  readonly subdirectory: string
  /** What the commit has to be. */
  readonly commit: string | undefined
  readonly keepsGitDirectory: boolean | undefined
  readonly hasSubmodules: boolean
}

/** Completes "cannot read git reference …". */
export interface GitReferenceProblem { readonly problem: string }

const scpLike = /^[a-zA-Z0-9._-]+@[a-zA-Z0-9.-]+:(?!\/\/)[^\s]+$/u
const queryKeys = ['ref', 'tag', 'branch', 'commit', 'checksum', 'subdir', 'keep-git-dir', 'submodules']

/** Whether a text means a git repository: by its scheme, by `user@host:path`, or by `.git` at the end of a web path. */
export function isGitReference(text: string): boolean {
  if (/^(?:git|ssh):\/\//u.test(text)) return true
  if (/^https?:\/\//u.test(text)) return /^https?:\/\/[^/?#]+\/[^?#]*\.git(?:[?#]|$)/u.test(text)
  return scpLike.test(text)
}

/**
 * Reads `REMOTE#ref:subdir`, split once, or `REMOTE?ref=…&subdir=…`. Nothing in it can become an option of git's: what
 * begins with a dash is refused, as is a subdirectory that leads out.
 */
export function parseGitReference(text: string): GitReference | GitReferenceProblem {
  const hash = text.indexOf('#')
  const [beforeHash, fragment] = hash === -1 ? [text, ''] : [text.slice(0, hash), text.slice(hash + 1)]
  const question = scpLike.test(beforeHash) ? -1 : beforeHash.indexOf('?')
  const remote = question === -1 ? beforeHash : beforeHash.slice(0, question)
  const values = readFragment(fragment)
  for (const [key, value] of new URLSearchParams(question === -1 ? '' : beforeHash.slice(question + 1))) {
    if (!queryKeys.includes(key)) return { problem: `there is no query key "${key}"; it takes ${queryKeys.join(', ')}` }
    const name = aliases.get(key) ?? key
    const wanted = `${prefixes.get(key) ?? ''}${value}`
    if (values.get(name) !== undefined && values.get(name) !== wanted) return { problem: `${name} is given twice` }
    values.set(name, wanted)
  }
  const problem = findProblem(remote, values)
  return problem === undefined ? readValues(remote, values) : { problem }
}

const aliases: ReadonlyMap<string, string> = new Map([['tag', 'ref'], ['branch', 'ref'], ['checksum', 'commit']])
const prefixes: ReadonlyMap<string, string> = new Map([['tag', 'refs/tags/'], ['branch', 'refs/heads/']])

/** `ref:subdir`, split once; empty parts say nothing. */
function readFragment(fragment: string): Map<string, string> {
  const colon = fragment.indexOf(':')
  const parts = [['ref', colon === -1 ? fragment : fragment.slice(0, colon)], ['subdir', colon === -1 ? '' : fragment.slice(colon + 1)]] as const
  return new Map(parts.filter(([, value]) => value !== ''))
}

function findProblem(remote: string, values: ReadonlyMap<string, string>): string | undefined {
  const ref = values.get('ref') ?? ''
  const commit = values.get('commit')
  if (remote.startsWith('-') || /^[a-z]+:\/\/-|@-/u.test(remote) || /[\s\0]/u.test(remote)) return 'its remote cannot be one'
  if (ref.startsWith('-') || /[\s\0~^:?*[\\]|\.\./u.test(ref)) return `"${ref}" cannot be a branch, a tag or a commit`
  if (commit !== undefined && !/^[0-9a-f]{7,64}$/u.test(commit)) return `"${commit}" is no commit`
  if (cleanSubdirectory(values.get('subdir') ?? '') === undefined) return `its subdirectory "${values.get('subdir') ?? ''}" leads out of the repository`
  const switches = ['keep-git-dir', 'submodules'].map((key) => readSwitch(values.get(key)))
  return switches.includes('malformed') ? 'keep-git-dir and submodules take true or false' : undefined
}

function readValues(remote: string, values: ReadonlyMap<string, string>): GitReference {
  return {
    remote,
    ref: values.get('ref'),
    subdirectory: cleanSubdirectory(values.get('subdir') ?? '') ?? '',
    commit: values.get('commit'),
    keepsGitDirectory: readSwitch(values.get('keep-git-dir')) === true || undefined,
    hasSubmodules: readSwitch(values.get('submodules')) !== false,
  }
}

/** @returns undefined for one that leads out, or into what git keeps for itself */
function cleanSubdirectory(text: string): string | undefined {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.')
  return parts.some((part) => part === '..' || part.toLowerCase() === '.git' || part.includes('\0')) ? undefined : parts.join('/')
}

function readSwitch(text: string | undefined): boolean | undefined | 'malformed' {
  if (text === undefined) return undefined
  if (['', '1', 'true', 't'].includes(text.toLowerCase())) return true
  return ['0', 'false', 'f'].includes(text.toLowerCase()) ? false : 'malformed'
}
