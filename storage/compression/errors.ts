import { TsbuildError } from '../../core/errors.ts'

/** A compressed stream is damaged, truncated, or followed by bytes that do not belong to it. */
export class MalformedCompression extends TsbuildError {
  readonly code = 'STORAGE_MALFORMED_COMPRESSION'
  readonly compression: 'gzip' | 'zstd'

  constructor(compression: 'gzip' | 'zstd', problem: string, options?: ErrorOptions) {
    super(`cannot decompress ${compression}: ${problem}`, options)
    this.compression = compression
  }
}

/** The engine that TSBUILD_GZIP asks for is unknown, or not on this machine. */
export class GzipEngineUnavailable extends TsbuildError {
  readonly code = 'STORAGE_GZIP_ENGINE_UNAVAILABLE'
  readonly asked: string

  constructor(asked: string, reason: string) {
    super(`cannot use TSBUILD_GZIP=${JSON.stringify(asked)}: ${reason}`)
    this.asked = asked
  }
}
