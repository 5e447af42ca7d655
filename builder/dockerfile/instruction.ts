/** A half-open range of the Dockerfile. Lines count from 1, columns from 0 in UTF-16 units. */
export interface SourceRange {
  readonly startLine: number
  readonly startColumn: number
  readonly endLine: number
  readonly endColumn: number
}

/** A piece of text as written, with where it stands; variables in it are not expanded yet. */
export interface Word {
  readonly text: string
  readonly range: SourceRange
}

/** @see Dockerfile reference "Here-Documents" */
export interface Heredoc {
  /** The delimiter without quotes: also the file name COPY gives it. */
  readonly name: string
  /** With `<<-` the leading tabs are gone. */
  readonly content: string
  /** With all tabs: what a shell that reads the here-document itself is given, and so what history shows. */
  readonly rawContent: string
  /** False when the delimiter was quoted. */
  readonly isExpanded: boolean
  /** The descriptor in `3<<EOF`; 0 when none is written. */
  readonly fileDescriptor: number
  /** The body and the line that ends it. */
  readonly range: SourceRange
}

/** What RUN, CMD, ENTRYPOINT and HEALTHCHECK CMD carry. JSON that does not parse as a list of texts is shell form. */
export type CommandLine =
  | { readonly form: 'exec'; readonly args: readonly string[] }
  | { readonly form: 'shell'; readonly line: string; readonly heredocs: readonly Heredoc[] }

interface Base {
  readonly range: SourceRange
  /** The instruction as one line, continuations joined and comments gone: what history and progress show. */
  readonly source: string
  /** Comment lines directly above it, without `#` and outer blanks: `check=skip=…`, `tsbuild: …`. */
  readonly comments: readonly Word[]
}

export interface FromInstruction extends Base {
  readonly kind: 'FROM'
  readonly base: Word
  readonly name: Word | undefined
  readonly platform: Word | undefined
}

export interface RunInstruction extends Base {
  readonly kind: 'RUN'
  readonly command: CommandLine
  readonly mounts: readonly Word[]
  readonly network: Word | undefined
  readonly security: Word | undefined
  readonly devices: readonly Word[]
}

export type CopySource =
  | { readonly kind: 'path'; readonly path: Word }
  | { readonly kind: 'heredoc'; readonly heredoc: Heredoc }

interface CopyBase extends Base {
  readonly sources: readonly CopySource[]
  readonly destination: Word
  readonly chown: Word | undefined
  readonly chmod: Word | undefined
  readonly link: boolean
  readonly excludes: readonly Word[]
}

export interface CopyInstruction extends CopyBase {
  readonly kind: 'COPY'
  readonly from: Word | undefined
  readonly parents: boolean
}

export interface AddInstruction extends CopyBase {
  readonly kind: 'ADD'
  readonly checksum: Word | undefined
  /** undefined where the flag is not given: the source may say it then (`?keep-git-dir=…`). */
  readonly keepGitDir: boolean | undefined
  /** undefined: local archives are unpacked, downloads are not. */
  readonly unpack: boolean | undefined
}

/** `name` is expanded too, for ENV and LABEL. */
export interface KeyValue {
  readonly name: Word
  readonly value: Word
  /** False for the old form `ENV name value`. */
  readonly hasEquals: boolean
}

export interface EnvInstruction extends Base { readonly kind: 'ENV'; readonly pairs: readonly KeyValue[] }
export interface LabelInstruction extends Base { readonly kind: 'LABEL'; readonly pairs: readonly KeyValue[] }
export interface ArgInstruction extends Base {
  readonly kind: 'ARG'
  /** `value` is undefined for `ARG name`, which differs from `ARG name=`. */
  readonly args: readonly { readonly name: Word; readonly value: Word | undefined }[]
}
export interface CmdInstruction extends Base { readonly kind: 'CMD'; readonly command: CommandLine }
export interface EntrypointInstruction extends Base { readonly kind: 'ENTRYPOINT'; readonly command: CommandLine }
export interface WorkdirInstruction extends Base { readonly kind: 'WORKDIR'; readonly path: Word }
export interface UserInstruction extends Base { readonly kind: 'USER'; readonly user: Word }
export interface VolumeInstruction extends Base { readonly kind: 'VOLUME'; readonly paths: readonly Word[] }
export interface ExposeInstruction extends Base { readonly kind: 'EXPOSE'; readonly ports: readonly Word[] }
export interface ShellInstruction extends Base { readonly kind: 'SHELL'; readonly args: readonly string[] }
export interface StopsignalInstruction extends Base { readonly kind: 'STOPSIGNAL'; readonly signal: Word }
export interface MaintainerInstruction extends Base { readonly kind: 'MAINTAINER'; readonly author: Word }
export interface OnbuildInstruction extends Base {
  readonly kind: 'ONBUILD'
  /** The trigger as the image config stores it. */
  readonly trigger: string
}

/** Durations in nanoseconds, undefined where the flag is not given. */
export interface HealthcheckInstruction extends Base {
  readonly kind: 'HEALTHCHECK'
  /** undefined for HEALTHCHECK NONE. */
  readonly command: CommandLine | undefined
  readonly intervalNs: number | undefined
  readonly timeoutNs: number | undefined
  readonly startPeriodNs: number | undefined
  readonly startIntervalNs: number | undefined
  readonly retries: number | undefined
}

export type Instruction =
  | FromInstruction | RunInstruction | CopyInstruction | AddInstruction | EnvInstruction | LabelInstruction
  | ArgInstruction | CmdInstruction | EntrypointInstruction | WorkdirInstruction | UserInstruction
  | VolumeInstruction | ExposeInstruction | ShellInstruction | StopsignalInstruction | MaintainerInstruction
  | OnbuildInstruction | HealthcheckInstruction

export type StageInstruction = Exclude<Instruction, FromInstruction>

/** One FROM and what follows it. */
export interface Stage {
  /** Counted over all stages from 0. */
  readonly index: number
  /** In lower case, as it is looked up. */
  readonly name: string | undefined
  readonly from: FromInstruction
  readonly instructions: readonly StageInstruction[]
}

/** A parsed Dockerfile: everything that can be said without variables, a base image or a file. */
export interface Dockerfile {
  readonly source: DockerfileSource
  readonly directives: Directives
  /** ARGs before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[]
  readonly stages: readonly Stage[]
}

export interface DockerfileSource {
  /** As the user named it: for messages. */
  readonly name: string
  readonly text: string
}

export interface Directives {
  readonly syntax: string | undefined
  readonly escape: '\\' | '`'
  readonly check: string | undefined
}
