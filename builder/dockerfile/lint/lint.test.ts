import { describe, expect, it } from 'vitest'
import type { Platform } from '../../../oci/platform.ts'
import { parseDockerignore } from '../../context/dockerignore.ts'
import { platformArgs } from '../arg-scope.ts'
import { DockerfileError } from '../errors.ts'
import { parseDockerfile } from '../parse.ts'
import type { BaseFacts, LintFacts } from './facts.ts'
import type { LintResult } from './lint.ts'
import { lintDockerfile } from './lint.ts'
import type { RuleName, Warning } from './warning.ts'

const amd64: Platform = { os: 'linux', architecture: 'amd64' }
const arm64: Platform = { os: 'linux', architecture: 'arm64' }
const base: BaseFacts = { env: ['PATH=/bin', 'FROM_BASE=1'], hasShell: false, platform: amd64 }

interface Given {
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly target?: string
  readonly ignore?: string
  readonly bases?: readonly BaseFacts[]
}

function lint(text: string, { buildArgs = {}, target, ignore, bases = [base, base, base] }: Given = {}): LintResult {
  const facts: LintFacts = {
    args: { buildArgs: new Map(Object.entries(buildArgs)), platformArgs: platformArgs({ build: amd64, target: amd64, targetStage: undefined }) },
    target,
    contexts: new Set(),
    bases: new Map(bases.entries()),
    ignore: ignore === undefined ? undefined : parseDockerignore(ignore),
    platforms: { build: amd64, target: amd64 },
  }
  return lintDockerfile(parseDockerfile({ name: 'Dockerfile', text }), facts)
}

/** The findings of one rule, each as the text it points at. */
function found(rule: RuleName, text: string, given?: Given): string[] {
  const { warnings, error } = lint(text, given)
  expect(error).toBeUndefined()
  return warnings.filter((warning) => warning.rule === rule).map((warning) => pointed(text, warning))
}

function pointed(text: string, { range }: Warning): string {
  if (range === undefined) return '(build)'
  const lines = text.split('\n').slice(range.startLine - 1, range.endLine)
  lines.push((lines.pop() ?? '').slice(0, range.endColumn))
  lines.unshift((lines.shift() ?? '').slice(range.startColumn))
  return lines.join('\n')
}

it('says why what looks like a JSON array is none', () => {
  const messages = ["FROM a\nCMD ['x']\n", 'FROM a\nCMD x\n'].map((text) => lint(text).warnings[0]?.message)
  expect(messages).toEqual([expect.stringContaining('double quotes'), expect.stringContaining('write it as a JSON array')])
})

const rulesOf = (text: string, given?: Given): string[] => lint(text, given).warnings.map(({ rule }) => rule)

describe('BuildKit\'s checks', () => {
  it.each<[RuleName, string, readonly string[], Given?]>([
    ['StageNameCasing', 'FROM scratch AS Base\nFROM scratch AS ok\n', ['Base']],
    ['FromAsCasing', 'FROM scratch as a\nfrom scratch AS b\nFROM scratch AS c\nfrom scratch as d\nFrom scratch as e\n', ['FROM scratch as a', 'from scratch AS b']],
    ['NoEmptyContinuation', 'FROM scratch\nRUN a \\\n\n  b\nRUN a \\\n# c\n b\nRUN <<E\n\nE\n\nCOPY <<E \\\n\n /x\n\nE\n', ['', '']],
    ['ConsistentInstructionCasing', 'arg x\nFROM scratch\nenv a=b\nRun x\nCMD ["x"]\n', ['env', 'Run']],
    ['ConsistentInstructionCasing', 'from scratch\nenv a=b\nRUN x\n', ['RUN']],
    ['ConsistentInstructionCasing', 'FROM scratch\nenv a=b\n', ['env']],
    ['DuplicateStageName', 'FROM scratch AS a\nFROM scratch AS b\nFROM scratch AS A\n', ['A']],
    ['ReservedStageName', 'FROM scratch AS scratch\nFROM scratch AS context\n', ['scratch', 'context']],
    ['JSONArgsRecommended', 'FROM a\nCMD x\nENTRYPOINT y\n', ['CMD x', 'ENTRYPOINT y']],
    ['JSONArgsRecommended', 'FROM a\nCMD ["x"]\nSHELL ["/bin/bash", "-c"]\nENTRYPOINT y\nHEALTHCHECK CMD z\nRUN z\n', []],
    ['JSONArgsRecommended', 'FROM a AS b\nSHELL ["/bin/bash", "-c"]\nFROM b\nCMD x\n', []],
    ['JSONArgsRecommended', 'FROM a\nCMD x\n', [], { bases: [{ ...base, hasShell: true }] }],
    ['MaintainerDeprecated', 'FROM a\nMAINTAINER me\n', ['MAINTAINER me']],
    ['UndefinedArgInFrom', 'ARG known\nARG VERSION=1\nFROM a:${VERSION}${VERSOIN:-2}${known}x\nFROM --platform=$BUILDPLATFROM$TARGETARCH a\n', ['${VERSOIN', '$BUILDPLATFROM']],
    ['WorkdirRelativePath', 'FROM a AS b\nWORKDIR x\nWORKDIR y\nFROM b\nWORKDIR z\nFROM a\nWORKDIR /x\nWORKDIR y\n', ['x']],
    ['WorkdirRelativePath', 'FROM a\nARG d=/abs\nWORKDIR $d\nWORKDIR x\n', []],
    ['UndefinedVar', 'FROM a\nENV x=$y\nCOPY $src /d\nRUN $shell\nLABEL a=${z:-d} b=$FROM_BASE$PATH$x\n', ['$y', '$src', '${z']],
    ['UndefinedVar', 'FROM a\nARG x\nARG y=$x$w\nENV z=$x$y$TARGETARCH\nRUN --mount=type=cache,target=$t z\n', ['$w', '$TARGETARCH', '$t']],
    ['UndefinedVar', 'FROM a\nENV x=$y\n', [], { bases: [] }],
    ['UndefinedVar', 'FROM scratch\nENV x=$y$PATH\n', ['$y'], { bases: [] }],
    ['UndefinedVar', 'FROM a AS b\nENV x=1\nARG v=2\nFROM b\nENV y=$x$v$u\n', ['$u']],
    ['UndefinedVar', 'FROM a\nCOPY <<E /x\n$x ${y}\nE\nCOPY <<"E" /x\n$z\nE\nENV a=\\$b c=\'$d\'\n', ['$x', '${y']],
    ['MultipleInstructionsDisallowed', 'FROM a\nCMD ["a"]\nCMD ["b"]\nCMD ["c"]\nENTRYPOINT ["a"]\nHEALTHCHECK NONE\nHEALTHCHECK CMD x\nFROM a\nCMD ["a"]\n', ['CMD ["a"]', 'CMD ["b"]', 'HEALTHCHECK NONE']],
    ['LegacyKeyValueFormat', 'FROM a\nENV a b\nLABEL c d\nENV e=f\n', ['ENV a b', 'LABEL c d']],
    ['InvalidBaseImagePlatform', 'FROM a\nFROM --platform=linux/arm64 b\nFROM c\n', ['a', 'c'], { bases: [{ ...base, platform: arm64 }, { ...base, platform: arm64 }, { ...base, platform: { os: 'windows', architecture: 'amd64' } }] }],
    ['InvalidBaseImagePlatform', 'FROM a\n', [], { bases: [] }],
    ['RedundantTargetPlatform', 'FROM --platform=$TARGETPLATFORM a\nFROM --platform=${TARGETPLATFORM} a\nFROM --platform=$BUILDPLATFORM a\nFROM --platform=$TARGETOS/$TARGETARCH a\n', ['$TARGETPLATFORM', '${TARGETPLATFORM}']],
    ['SecretsUsedInArgOrEnv', 'ARG TOKEN=x\nFROM a\nARG API_TOKEN\nENV db_password=x PUBLIC_KEY=y KEY_FILE=z MONKEY=w TOKENIZER=v apikey=u\nLABEL key=x\n', ['ARG API_TOKEN', 'ENV db_password=x PUBLIC_KEY=y KEY_FILE=z MONKEY=w TOKENIZER=v apikey=u', 'ENV db_password=x PUBLIC_KEY=y KEY_FILE=z MONKEY=w TOKENIZER=v apikey=u']],
    ['InvalidDefaultArgInFrom', 'ARG v\nARG t=Latest!\nARG ok=1\nFROM a:$ok\nFROM a:$t\nFROM a:$v\nFROM $v\n', ['a:$t', 'a:$v', '$v'], { buildArgs: { v: 'given' } }],
    ['InvalidDefaultArgInFrom', 'FROM localhost:5000/a/b_c:1.0@sha256:0123456789012345678901234567890123456789012345678901234567890123\nFROM UPPER/a\nFROM Reg.io/a/b\n', []],
    ['FromPlatformFlagConstDisallowed', 'FROM --platform=linux/amd64 a\nFROM --platform=linux/arm64 a AS build-arm64\nFROM --platform=$BUILDPLATFORM a\nFROM --platform=linux/amd64 a AS x\nFROM --platform=linux/amd64 a AS on-linux\n', ['linux/amd64', 'linux/amd64']],
    ['CopyIgnoredFile', 'FROM a\nCOPY a.md ./src x/y /d/\nADD b.md https://x/c.md /d/\nCOPY --from=img a.md /\n', ['a.md', 'x/y', 'b.md'], { ignore: '*.md\nx\n' }],
    ['CopyIgnoredFile', 'FROM a\nCOPY a.md /d\n', [], { ignore: '*.md\n!b.md' }],
    ['CopyIgnoredFile', 'FROM a\nCOPY a.md /d\n', []],
    ['CopyIgnoredFile', 'FROM a\nCOPY . /d\n', [], { ignore: '*.md\n.' }],
    ['CopyIgnoredFile', 'FROM a\nCOPY . /d\nCOPY / /e\n', ['.', '/'], { ignore: '**' }],
    ['InvalidDefinitionDescription', '# check=experimental=all\n\n# something\nARG x=1\n# x is\nARG x\n# build makes it\nFROM scratch AS build\n# other\nFROM scratch AS run\n# unnamed\nFROM scratch\n# note\n\nARG y\n# z is\nARG y z\n', ['something', 'other']],
    ['InvalidDefinitionDescription', '# something\n\n# something\nARG x=1\nFROM scratch\n', []],
    ['ExposeProtoCasing', 'FROM a\nARG p=UDP\nEXPOSE 80/TCP 81/tcp 82/$p 83\n', ['80/TCP', '82/$p']],
    ['ExposeInvalidFormat', 'FROM a\nEXPOSE 80:80 1.2.3.4:80:81 82 :83\n', ['80:80', '1.2.3.4:80:81']],
  ])('%s in %j points at %j', (...[rule, text, expected, given]) => {
    expect(found(rule, text, given)).toEqual(expected)
  })

  it('suggests what was meant', () => {
    const { warnings } = lint('ARG VERSION=1\nFROM a:$VERSOIN\nENV PATHS=$FROM_BSE\n', {})
    expect(warnings.filter(({ suggestion }) => suggestion !== undefined).map(({ rule, suggestion }) => [rule, suggestion])).toEqual([['UndefinedArgInFrom', 'VERSION'], ['UndefinedVar', 'FROM_BASE']])
  })
})

describe('our checks', () => {
  it.each<[RuleName, string, readonly string[], Given?]>([
    ['UnusedBuildArg', 'ARG a\nFROM scratch\nARG b\n', ['(build)'], { buildArgs: { a: '', b: '', bb: '', HTTP_PROXY: '', TARGETARCH: '', BUILDKIT_INLINE_CACHE: '1', SOURCE_DATE_EPOCH: '0' } }],
    ['UnusedBuildArg', 'FROM scratch AS one\nARG a\nFROM scratch AS two\n', ['(build)'], { buildArgs: { a: '' }, target: 'two' }],
    ['UnusedStage', 'FROM scratch AS used\nFROM scratch AS lost\nFROM scratch\n# test runs the tests\nFROM used AS test\nFROM used AS by-mount\nFROM scratch AS triggered\nFROM scratch\nRUN --mount=from=by-mount,target=/x y\nONBUILD COPY --from=triggered a b\n', ['FROM scratch AS lost', 'FROM scratch']],
    ['UnusedStage', 'FROM scratch AS a\nFROM scratch AS b\n', ['FROM scratch AS b'], { target: 'a' }],
    ['SecretLikeValue', `FROM scratch\nENV A=ghp_${'a1'.repeat(18)} B=x\nRUN curl https://me:hunter22@example.com \\\n  AKIA${'A1'.repeat(8)}\nRUN curl https://me:$pw@example.com https://user@example.com\nCOPY <<E /k\n-----BEGIN OPENSSH PRIVATE KEY-----\nE\n`, [`ghp_${'a1'.repeat(18)}`, 'https://me:hunter22@', `AKIA${'A1'.repeat(8)}`, '-----BEGIN OPENSSH PRIVATE KEY-----']],
    ['PackageCacheInLayer', 'FROM a\nRUN apt-get update && apt-get install -y curl\n', ['RUN apt-get update && apt-get install -y curl']],
    ['PackageCacheInLayer', 'FROM a\nRUN apt-get update && \\\n DEBIAN_FRONTEND=noninteractive apt-get -y install curl && rm -rf /var/lib/apt/lists/*\n', []],
    ['PackageCacheInLayer', 'FROM a\nRUN --mount=type=cache,target=/var/lib/apt --mount=type=cache,target=/var/cache/apt apt-get update\n', []],
    ['PackageCacheInLayer', 'FROM a AS b\nRUN apt update\nFROM a\nCOPY --from=b x y\n', []],
    ['PackageCacheInLayer', 'FROM a AS b\nRUN apt update\nFROM b\n', ['RUN apt update']],
    ['PackageCacheInLayer', 'FROM a\nRUN apk add curl\nRUN apk add --no-cache curl\nRUN apk --no-cache add curl\nRUN apk add curl; rm -rf /var/cache/apk/*\n', ['RUN apk add curl']],
    ['PackageCacheInLayer', 'FROM a\nRUN dnf -y install x\nRUN yum install -y x && yum clean all\nRUN microdnf install x; rm -rf /var/cache/*\n', ['RUN dnf -y install x']],
    ['PackageCacheInLayer', 'FROM a\nRUN pip install x\nRUN python3 -m pip install -r y\nRUN pip3 install --no-cache-dir x\nRUN pip install x && rm -rf ~/.cache\nRUN echo pip install\n', ['RUN pip install x', 'RUN python3 -m pip install -r y']],
    ['PackageCacheInLayer', 'FROM a\nENV PIP_NO_CACHE_DIR=1\nRUN pip install x\n', []],
    ['PackageCacheInLayer', 'FROM a\nRUN npm ci\nRUN npm ci && npm cache clean --force\nRUN --mount=type=cache,target=/root/.npm npm i\nRUN npm run install\n', ['RUN npm ci']],
    ['PackageCacheInLayer', 'FROM a\nRUN <<E\nset -e\napt-get install x\nE\nRUN ["apt-get", "update"]\n', ['RUN <<E\nset -e\napt-get install x\nE', 'RUN ["apt-get", "update"]']],
    ['InvalidCheckOption', '# check=skip=JsonArgsRecommended,StageNameCasing;experimental=Nope\nFROM scratch\n# check=skip=Foo\nENV a=b\n# check=foo\nENV a=b\n', ['skip=JsonArgsRecommended,StageNameCasing;experimental=Nope', 'skip=JsonArgsRecommended,StageNameCasing;experimental=Nope', 'check=skip=Foo', 'check=foo']],
  ])('%s in %j points at %j', (...[rule, text, expected, given]) => {
    expect(found(rule, text, given)).toEqual(expected)
  })

  it('tells the argument that was meant', () => {
    expect(lint('FROM scratch\nARG VERSION\n', { buildArgs: { VERSON: '1' } }).warnings[0]).toMatchObject({ rule: 'UnusedBuildArg', suggestion: 'VERSION' })
  })
})

describe('options for checks', () => {
  const noisy = 'FROM scratch as A\nMAINTAINER me\nENV a b\n'
  const all = ['FromAsCasing', 'LegacyKeyValueFormat', 'MaintainerDeprecated', 'StageNameCasing']

  it('silence checks by name, in the directive', () => {
    expect(rulesOf(noisy).sort()).toEqual(all)
    expect(rulesOf(`# check=skip=StageNameCasing,FromAsCasing\n${noisy}`).sort()).toEqual(['LegacyKeyValueFormat', 'MaintainerDeprecated'])
    expect(rulesOf(`# check=skip=all\n${noisy}`)).toEqual([])
    expect(rulesOf(`# check=skip=stagenamecasing\n${noisy}`).sort()).toEqual([...all, 'InvalidCheckOption'].sort())
  })

  it('silence a check for one instruction, in a comment above it', () => {
    expect(rulesOf('FROM scratch\n# check=skip=LegacyKeyValueFormat\nENV a b\nENV c d\n')).toEqual(['LegacyKeyValueFormat'])
    expect(rulesOf('# note\n# check=skip=all\n# more\nFROM scratch as A\n')).toEqual([])
  })

  it('switch experimental checks on, which skip=all leaves alone', () => {
    const text = '# other\nARG x\nFROM scratch\n'
    expect(rulesOf(text)).toEqual([])
    expect(rulesOf(`# check=experimental=InvalidDefinitionDescription\n\n${text}`)).toEqual(['InvalidDefinitionDescription'])
    expect(rulesOf('# check=experimental=all\n# other\nARG x\nFROM scratch\n')).toEqual(['InvalidDefinitionDescription'])
  })

  it('make warnings errors', () => {
    expect(lint(`# check=error=true;skip=StageNameCasing\n${noisy}`).warnings.map(({ level }) => level)).toEqual(['error', 'error', 'error'])
    expect(lint(noisy).warnings.every(({ level }) => level === 'warning')).toBe(true)
  })

  it('are those of BUILDKIT_DOCKERFILE_CHECK instead of the directive where it is given', () => {
    expect(rulesOf(`# check=skip=all\n${noisy}`, { buildArgs: { BUILDKIT_DOCKERFILE_CHECK: 'skip=StageNameCasing' } })).toHaveLength(3)
  })

  it.each(['skip', 'error=maybe', 'skp=all', 'skip=A;;error=true', 'error'])('are refused when they read %s', (options) => {
    expect(() => lint(`# check=${options}\nFROM scratch\n`)).toThrow(expect.objectContaining({ rule: 'check-options' }))
  })
})

describe('lintDockerfile', () => {
  it('looks at the stages of the target only where it follows stages, and at all lines elsewhere', () => {
    const text = 'FROM a AS one\nENV x=$y\nMAINTAINER me\nFROM a AS two\nENV x=$z\n'
    expect(lint(text).warnings.filter(({ rule }) => rule === 'UndefinedVar')).toHaveLength(2)
    expect(rulesOf(text, { target: 'two' }).sort()).toEqual(['MaintainerDeprecated', 'UndefinedVar', 'UnusedStage'])
  })

  it('returns what keeps the file from being built beside what it found before', () => {
    const { warnings, error } = lint('FROM scratch\nMAINTAINER me\nENV a=${b:?needed}\n')
    expect(warnings.map(({ rule }) => rule)).toEqual(['MaintainerDeprecated'])
    expect(error).toBeInstanceOf(DockerfileError)
    expect(error).toMatchObject({ rule: 'expansion', range: { startLine: 3 } })
  })

  it('gives warnings in the order of their lines', () => {
    const lines = lint('FROM scratch as A\nENV a $x\nMAINTAINER me\nENV b $y\n').warnings.map(({ range }) => range?.startLine)
    expect(lines).toEqual(lines.toSorted())
  })
})
