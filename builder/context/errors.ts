import { TsbuildError } from '../../core/errors.ts'

/** The build context, or something in it, cannot be read. */
export class ContextUnreadable extends TsbuildError {
  readonly code = 'BUILDER_CONTEXT_UNREADABLE'
  readonly path: string

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`cannot read "${path}" of the build context: ${problem}`, options)
    this.path = path
  }
}

/** What an address names cannot be downloaded. */
export class DownloadFailed extends TsbuildError {
  readonly code = 'BUILDER_DOWNLOAD_FAILED'
  readonly url: string

  constructor(url: string, problem: string, options?: ErrorOptions) {
    super(`cannot download "${url}": ${problem}`, options)
    this.url = url
  }
}

/** What was downloaded is not what the Dockerfile says. Nothing was made of it. */
export class WrongDownload extends TsbuildError {
  readonly code = 'BUILDER_WRONG_DOWNLOAD'
  readonly url: string
  readonly actual: string

  constructor(url: string, expected: string, actual: string) {
    super(`cannot use "${url}": its digest is ${actual}, expected ${expected}`)
    this.url = url
    this.actual = actual
  }
}

/** A git repository cannot be read, or has not what it should. */
export class GitFailed extends TsbuildError {
  readonly code = 'BUILDER_GIT_FAILED'
  readonly remote: string

  constructor(remote: string, problem: string, options?: ErrorOptions) {
    const shown = remote.replace(/\/\/[^/@]*@/u, '//')
    super(`cannot read git repository "${shown}": ${problem}`, options)
    this.remote = shown
  }
}
