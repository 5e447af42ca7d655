import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { evaluateGlobalArgs } from './arg-scope.ts'
import { DockerfileError } from './errors.ts'
import type { Dockerfile } from './instruction.ts'
import { lintDockerfile } from './lint/lint.ts'
import { parseDockerfile } from './parse.ts'
import { resolveStages } from './stage-graph.ts'

/** Files made to crash, hang or fill a builder: every one is read, or refused with a line, within the runner's time limit. */

/** Enough for a square of it to run into the time limit. */
const enough = 1 << 17
const platform = { os: 'linux', architecture: 'amd64' }
const inputs = { buildArgs: new Map<string, string>(), platformArgs: new Map<string, string>() }
const facts = { args: inputs, target: undefined, contexts: new Set<string>(), bases: new Map(), ignore: undefined, platforms: { build: platform, target: platform } }

function outcome(text: string): string {
  try {
    const dockerfile: Dockerfile = parseDockerfile({ name: 'Dockerfile', text })
    resolveStages(dockerfile, evaluateGlobalArgs(dockerfile, inputs))
    const { error } = lintDockerfile(dockerfile, facts)
    return error?.rule ?? 'read'
  } catch (error) {
    if (error instanceof DockerfileError) {
      expect(error.range.startLine).toBeGreaterThan(0)
      return error.rule
    }
    throw error
  }
}

/** `piece` again and again, enough of it. */
const fill = (piece: string, size = enough): string => piece.repeat(Math.ceil(size / piece.length))

describe('a hostile file', () => {
  // Whatever reaches for a name on Object.prototype would now throw.
  beforeAll(() => { Object.freeze(Object.prototype) })
  afterAll(() => { expect(Object.isFrozen(Object.prototype)).toBe(true) })

  it.each<[what: string, expected: string, text: () => string]>([
    ['of one long line', 'read', () => `FROM a\nRUN ${fill('x', 10 * enough)}`],
    ['of empty lines', 'stage', () => fill('\n')],
    ['of continuations', 'read', () => `FROM a\nRUN ${'\\\n'.repeat(300_000)}x`],
    ['of continued words', 'read', () => `FROM a\nENV ${fill('a=b \\\n')}c=d`],
    ['of comments', 'read', () => `${fill('# comment\n')}FROM a`],
    ['of comments in a continuation', 'read', () => `FROM a\nRUN x \\\n${fill('  # c\n')}y`],
    ['of tiny instructions', 'read', () => `FROM a\n${fill('RUN x\n')}`],
    ['of flags', 'flag', () => `FROM a\nRUN ${fill('--mount=type=tmpfs,target=/x ')}true\nRUN ${fill('--x')}`],
    ['of mounts with many fields', 'read', () => `FROM a\nRUN --mount=type=cache${fill(',target=/x')} true`],
    ['of JSON items', 'read', () => `FROM a\nCMD [${fill('"a",')}"a"]`],
    ['of JSON brackets', 'json-form', () => `FROM a\nCMD ${'['.repeat(5000)}${']'.repeat(5000)}`],
    ['of unclosed JSON', 'read', () => `FROM a\nCMD ${fill('["')}`],
    ['of backslashes', 'read', () => `FROM a\nUSER ${fill('\\')}x`],
    ['of quotes', 'expansion', () => `FROM a\nUSER "${fill("'")}`],
    ['of dollars', 'read', () => `FROM a\nUSER ${fill('$')}`],
    ['of variables', 'read', () => `FROM a\nENV a=${fill('$b')}`],
    ['of different undefined variables', 'read', () => `FROM scratch\nENV ${Array.from({ length: 50_000 }, (_, index) => `a${index}=$b${index}`).join(' ')}`],
    ['of nested defaults', 'limit', () => `FROM a\nENV a=${'${b:-'.repeat(100_000)}x${'}'.repeat(100_000)}`],
    ['of braces', 'expansion', () => `FROM a\nENV a=${fill('${')}`],
    ['of doubling variables', 'limit', () => `FROM a\nENV a=xxxxxxxxxxxxxxxx\n${fill('ENV a=$a$a\n', 4096)}`],
    ['of doubling arguments', 'limit', () => `${fill('ARG a=${a:-x}$a\n', 4096)}FROM scratch`],
    ['of a costly pattern', 'limit', () => `FROM scratch\nENV a=${'a'.repeat(250_000)}\nENV b=\${a##*${'a?'.repeat(5_000)}b}`],
    ['of here-documents on one line', 'heredoc', () => `FROM a\nRUN ${fill('<<A ')}\n${fill('A\n', 1000)}`],
    ['of a large here-document', 'read', () => `FROM a\nCOPY <<A /x\n${fill('line\n', 20 * enough)}A\n`],
    ['of here-document operators', 'heredoc', () => `FROM a\nRUN ${fill('<<')} <<x`],
    ['of arithmetic', 'read', () => `FROM a\nRUN ${fill('$((1<<2)) ')}`],
    ['of stages', 'read', () => `${Array.from({ length: 10_000 }, (_, index) => `FROM ${index === 0 ? 'scratch' : `s${index - 1}`} AS s${index}`).join('\n')}\n`],
    ['of stages of one name', 'read', () => 'FROM scratch AS a\n'.repeat(10_000)],
    ['of copies between stages', 'read', () => `FROM scratch AS a\nFROM scratch\n${'COPY --from=a x y\n'.repeat(20_000)}`],
    ['of copies from nowhere', 'read', () => `FROM scratch\n${Array.from({ length: 20_000 }, (_, index) => `COPY --from=image${index} x y`).join('\n')}`],
    ['of COPY sources', 'read', () => `FROM a\nCOPY ${fill('a ')} /x`],
    ['of labels', 'read', () => `FROM a\nLABEL ${fill('a=b ')}`],
    ['of ports', 'read', () => `FROM a\nEXPOSE ${fill('1-65535 ')}`],
    ['of triggers', 'read', () => `FROM a\n${fill('ONBUILD RUN x\n')}`],
    ['of nested triggers', 'onbuild', () => `FROM a\n${fill('ONBUILD ')}`],
    ['of removals', 'read', () => `FROM scratch\nRUN apt-get update; ${fill('rm ')}`],
    ['of package installs', 'read', () => `FROM scratch\nRUN apk ${fill('add -x ')}`],
    ['of near secrets', 'read', () => `FROM a\nENV a=${fill('eyJ-').slice(0, 500_000)} b=${fill('a://b:').slice(0, 500_000)}`],
    ['of policies', 'step-policy', () => `FROM a\n# tsbuild: ${fill('retry=1 ')}\nRUN x`],
    ['of check options', 'read', () => `# check=skip=${fill('A,')}\nFROM scratch`],
    ['of check comments', 'read', () => `FROM scratch\n${fill('# check=skip=A\nRUN x\n')}`],
    ['of NUL characters', 'encoding', () => `FROM a\nRUN ${fill('\0')}`],
    ['of carriage returns', 'argument-count', () => `FROM ${fill('a\r')}`],
    ['of lone surrogates', 'read', () => `FROM a\nENV a=${fill('\ud800')} b=$a`],
    ['of misspelt instructions', 'instruction', () => fill('FORM a\n')],
    ['of a misspelt instruction', 'instruction', () => fill('FORM')],
    ['of names from Object.prototype', 'read', () => 'FROM scratch AS constructor\nARG __proto__=1\nENV toString=$__proto__ hasOwnProperty=$valueOf\nLABEL __proto__=x\nFROM constructor'],
    ['with the instruction __proto__', 'instruction', () => 'FROM a\n__proto__ x'],
    ['with the flag __proto__', 'flag', () => 'FROM a\nCOPY --__proto__=1 a b'],
    ['with the mount key __proto__', 'mount', () => 'FROM a\nRUN --mount=__proto__=1 x'],
    ['with the policy constructor', 'step-policy', () => 'FROM a\n# tsbuild: constructor=1\nRUN x'],
  ])('%s ends as %s', (_, expected, text) => {
    expect(outcome(text())).toBe(expected)
  })
})
