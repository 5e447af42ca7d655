import type { SourceRange } from '../instruction.ts'

/** What one check says about one place. */
export interface Warning {
  readonly rule: RuleName
  /** `error` where the file or the build asks for warnings to fail the build. */
  readonly level: 'warning' | 'error'
  /** What the check is about, the same for all its warnings. */
  readonly description: string
  /** What it found here. */
  readonly message: string
  /** undefined when it is about the build and no line. */
  readonly range: SourceRange | undefined
  readonly suggestion: string | undefined
}

interface Rule {
  readonly description: string
  /** Off unless `experimental=` names it. */
  readonly isExperimental?: true
  /** Ours: Docker has no such check. */
  readonly isOwn?: true
}

/** Every check there is. Names are what `skip=` and `experimental=` take, case included. */
export const rules = {
  ConsistentInstructionCasing: { description: 'Keywords are all in lower or all in upper case' },
  CopyIgnoredFile: { description: 'COPY and ADD name no file that .dockerignore leaves out' },
  DuplicateStageName: { description: 'No two stages have one name' },
  ExposeInvalidFormat: { description: 'EXPOSE names ports without an address or a port of the host' },
  ExposeProtoCasing: { description: 'Protocols in EXPOSE are in lower case' },
  FromAsCasing: { description: 'AS is in the case of FROM' },
  FromPlatformFlagConstDisallowed: { description: 'FROM --platform is no constant, unless the stage is named after it' },
  InvalidBaseImagePlatform: { description: 'The base image is for the platform asked for' },
  InvalidDefaultArgInFrom: { description: 'The defaults of global ARGs give FROM a valid image name' },
  InvalidDefinitionDescription: { description: 'A comment above ARG or FROM begins with the name it describes', isExperimental: true },
  JSONArgsRecommended: { description: 'CMD and ENTRYPOINT are in JSON form, so that signals reach the program' },
  LegacyKeyValueFormat: { description: 'ENV and LABEL are written name=value' },
  MaintainerDeprecated: { description: 'A label names the author, not MAINTAINER' },
  MultipleInstructionsDisallowed: { description: 'A stage has one CMD, ENTRYPOINT and HEALTHCHECK, since only the last counts' },
  NoEmptyContinuation: { description: 'No blank line stands inside an instruction' },
  RedundantTargetPlatform: { description: 'FROM --platform does not repeat $TARGETPLATFORM, which is the default' },
  ReservedStageName: { description: 'No stage is named scratch or context' },
  SecretsUsedInArgOrEnv: { description: 'No ARG or ENV is named like a secret: both stay in the image' },
  StageNameCasing: { description: 'Stage names are in lower case' },
  UndefinedArgInFrom: { description: 'FROM uses declared ARGs only' },
  UndefinedVar: { description: 'Variables are defined before they are used' },
  WorkdirRelativePath: { description: 'The first WORKDIR is absolute, so that the base image does not decide where it is' },
  InvalidCheckOption: { description: 'check= comments and directives name checks that exist', isOwn: true },
  PackageCacheInLayer: { description: 'Package managers leave no cache in layers of the result', isOwn: true },
  SecretLikeValue: { description: 'No value looks like a password, token or key', isOwn: true },
  UnusedBuildArg: { description: 'Every build argument given is declared by some ARG', isOwn: true },
  UnusedStage: { description: 'Every stage is used, or described as a target of its own', isOwn: true },
} as const satisfies Readonly<Record<string, Rule>>

export type RuleName = keyof typeof rules

export function isRuleName(name: string): name is RuleName {
  return Object.hasOwn(rules, name)
}

export function isExperimental(name: RuleName): boolean {
  return 'isExperimental' in rules[name]
}
