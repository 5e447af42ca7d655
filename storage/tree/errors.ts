import { TsbuildError } from '../../core/errors.ts'
import type { ArchiveRule, TreeRule } from './rules.ts'

/** An archive breaks a rule that keeps extraction safe and unambiguous. Nothing was stored. */
export class HostileArchive extends TsbuildError {
  readonly code = 'STORAGE_HOSTILE_ARCHIVE'
  readonly rule: ArchiveRule
  /** Counted from 0. */
  readonly entry: number
  /** What the rule is about: a path, a name of a header field. */
  readonly object: Buffer

  constructor(rule: ArchiveRule, entry: number, object: Buffer) {
    super(`cannot unpack archive: entry ${entry} ${JSON.stringify(object.toString('latin1'))} breaks the rule "${rule}"`)
    this.rule = rule
    this.entry = entry
    this.object = object
  }
}

/** A changeset cannot carry something of the tree, such as a file named `.wh.x`. */
export class Unrepresentable extends TsbuildError {
  readonly code = 'STORAGE_UNREPRESENTABLE'
  readonly rule: TreeRule | ArchiveRule
  readonly path: Buffer

  constructor(rule: TreeRule | ArchiveRule, path: Buffer) {
    super(`cannot write ${JSON.stringify(`/${path.toString('latin1')}`)} into a layer: it breaks the rule "${rule}"`)
    this.rule = rule
    this.path = path
  }
}

/** A file changed, or is no file any more, between its listing and its reading. Doing it again may help. */
export class SourceChanged extends TsbuildError {
  readonly code = 'STORAGE_SOURCE_CHANGED'
  /** Where it was to go. */
  readonly path: Buffer

  constructor(path: Buffer) {
    super(`cannot pack ${JSON.stringify(`/${path.toString('latin1')}`)}: the file changed while it was read`)
    this.path = path
  }
}

/** A system call on a tree failed; `cause` has the helper's report. */
export class TreeFailure extends TsbuildError {
  readonly code = 'STORAGE_TREE_FAILURE'
  /** `ENOENT` and the like. */
  readonly errnoName: string
  readonly path: string

  constructor(doing: string, failure: { readonly errnoName: string; readonly object: string }, options: ErrorOptions) {
    super(`cannot ${doing} ${JSON.stringify(failure.object)}: ${failure.errnoName}`, options)
    this.errnoName = failure.errnoName
    this.path = failure.object
  }
}

/** The helper ended without saying why, by a signal for example. */
export class HelperDied extends TsbuildError {
  readonly code = 'STORAGE_HELPER_DIED'
  readonly mode: string
  readonly signal: NodeJS.Signals | undefined

  constructor(mode: string, exit: { readonly exitCode: number | undefined; readonly signal: NodeJS.Signals | undefined }) {
    super(`helper "${mode}" ended with ${exit.signal ?? `exit code ${exit.exitCode ?? 'unknown'}`} and without a result`)
    this.mode = mode
    this.signal = exit.signal
  }
}
