import { describe, expect, it } from 'vitest'
import { matchPath } from '../context/match-path.ts'
import { evaluateGlobalArgs, platformArgs, proxyVariables, StageScope } from './arg-scope.ts'
import { DockerfileError } from './errors.ts'
import { expandInstruction } from './expand/instruction.ts'
import type { Dockerfile, Instruction, StageInstruction } from './instruction.ts'
import { parseDockerfile, parseOnbuildTrigger } from './parse.ts'
import { findTarget, reachableStages, resolveStages } from './stage-graph.ts'
import { applyChmod, parseChmod } from './values/chmod.ts'

/** Known pitfalls of the language, each by its subject; those that need a container have their tests elsewhere. */

const parse = (...lines: readonly string[]): Dockerfile => parseDockerfile({ name: 'Dockerfile', text: `${lines.join('\n')}\n` })
const only = (...lines: readonly string[]): StageInstruction => {
  const [instruction] = parse('FROM scratch', ...lines).stages[0]?.instructions ?? []
  if (instruction === undefined) throw new Error('no instruction')
  return instruction
}
const refusal = (...lines: readonly string[]): DockerfileError => {
  try {
    parse(...lines)
  } catch (error) {
    if (error instanceof DockerfileError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const amd64 = { os: 'linux', architecture: 'amd64' }
interface Run { readonly env: Readonly<Record<string, string>>; readonly scopes: readonly StageScope[] }

/** What ENV sets in each stage of a file, followed as a build follows it. */
function run(buildArgs: Readonly<Record<string, string>>, ...lines: readonly string[]): Run {
  const dockerfile = parse(...lines)
  const inputs = { buildArgs: new Map(Object.entries(buildArgs)), platformArgs: platformArgs({ build: amd64, target: { os: 'linux', architecture: 'arm64' }, targetStage: undefined }) }
  const global = evaluateGlobalArgs(dockerfile, inputs)
  const env = new Map<string, string>()
  const scopes: StageScope[] = []
  const envs: Map<string, string>[] = []
  for (const { stage, base } of resolveStages(dockerfile, global)) {
    const own = new Map(base.kind === 'stage' ? envs[base.index] : undefined)
    const scope = new StageScope(global, [...own].map(([name, value]) => `${name}=${value}`), base.kind === 'stage' ? scopes[base.index] : undefined)
    for (const written of stage.instructions) {
      const { instruction } = expandInstruction(written, scope.variables, dockerfile)
      if (instruction.kind === 'ARG') scope.declare(instruction, dockerfile)
      if (instruction.kind !== 'ENV') continue
      for (const { name, value } of instruction.pairs) {
        scope.setEnv(name.text, value.text)
        own.set(name.text, value.text)
        env.set(name.text, value.text)
      }
    }
    scopes.push(scope)
    envs.push(own)
  }
  return { env: Object.fromEntries(env), scopes }
}

describe('variables', () => {
  it('1 a global ARG is seen by FROM, and by a stage behind a bare ARG only', () => {
    expect(run({}, 'ARG x=scratch', 'FROM $x', 'ENV before=[$x]', 'ARG x', 'ENV after=[$x]').env).toEqual({ before: '[]', after: '[scratch]' })
    expect(run({ x: 'cli' }, 'ARG x=g', 'FROM scratch', 'ARG x', 'ENV r=$x').env).toEqual({ r: 'cli' })
  })

  it('2 ARG and ENV go to stages built on the stage, not to its siblings', () => {
    expect(run({}, 'FROM scratch AS a', 'ARG x=1', 'ENV y=2', 'FROM a', 'ENV heir=$x-$y', 'FROM scratch', 'ENV sibling=$x-$y').env).toMatchObject({ heir: '1-2', sibling: '-' })
  })

  it('3 ARG and ENV of one name are one variable: the later counts, and at a stage border what the image keeps', () => {
    expect(run({}, 'FROM scratch', 'ENV x=env', 'ARG x=arg', 'ENV r=$x').env['r']).toBe('arg')
    expect(run({}, 'FROM scratch', 'ARG x=arg', 'ENV x=env', 'ENV r=$x').env['r']).toBe('env')
    expect(run({ x: 'cli' }, 'FROM scratch', 'ENV x=env', 'ARG x', 'ENV r=$x').env['r']).toBe('cli')
    expect(run({}, 'FROM scratch AS a', 'ENV x=env', 'ARG x=arg', 'FROM a', 'ENV r=$x').env['r']).toBe('env')
  })

  it('3 an ARG takes the build argument, else its default, else the global value', () => {
    expect(run({ x: 'cli' }, 'ARG x=g', 'FROM scratch', 'ARG x=s', 'ENV r=$x').env['r']).toBe('cli')
    expect(run({}, 'ARG x=g', 'FROM scratch', 'ARG x=s', 'ENV r=$x').env['r']).toBe('s')
    expect(run({}, 'ARG x=g', 'FROM scratch', 'ARG x=s', 'ARG x', 'ENV r=$x').env['r']).toBe('g')
    expect(run({}, 'FROM scratch', 'ARG x=1', 'ARG x', 'ENV r=$x').env['r']).toBe('1')
    expect(run({ x: '' }, 'FROM scratch', 'ARG x=s', 'ENV r=[${x-unset}]').env['r']).toBe('[]')
  })

  it('4 one instruction sees one state of the variables, but each ARG those before it on its line', () => {
    expect(run({}, 'FROM scratch', 'ENV a=1', 'ENV a=2 b=$a').env).toEqual({ a: '2', b: '1' })
    expect(run({}, 'FROM scratch', 'ARG x=1 y=$x', 'ENV r=$y').env['r']).toBe('1')
    expect(run({}, 'ARG x=1 y=$x', 'ARG x=2', 'FROM scratch', 'ARG x', 'ARG y', 'ENV r=$x$y').env['r']).toBe('21')
  })

  it('5 a build argument that no ARG declares has no effect', () => {
    expect(run({ x: 'cli' }, 'FROM scratch', 'ENV r=[$x]').env['r']).toBe('[]')
  })

  it('6 platform arguments need an ARG in a stage, and a build argument overrides them', () => {
    expect(run({}, 'FROM scratch', 'ENV a=[$TARGETARCH]', 'ARG TARGETARCH', 'ARG BUILDPLATFORM', 'ENV b=$TARGETARCH/$BUILDPLATFORM').env).toEqual({ a: '[]', b: 'arm64/linux/amd64' })
    expect(run({ TARGETARCH: 'z' }, 'FROM scratch', 'ARG TARGETARCH', 'ENV r=$TARGETARCH').env['r']).toBe('z')
    expect(run({ TARGETARCH: 'z' }, 'ARG b=$TARGETARCH', 'FROM scratch', 'ARG b', 'ENV r=$b').env['r']).toBe('z')
    expect(run({}, 'ARG b=$TARGETARCH', 'FROM scratch', 'ARG b', 'ENV r=$b').env['r']).toBe('arm64')
    expect(run({}, 'FROM scratch', 'ARG TARGETARCH=x', 'ENV r=$TARGETARCH').env['r']).toBe('x')
  })

  it('7 proxy arguments reach RUN in both spellings, and expansion and history behind an ARG only', () => {
    expect(run({ HTTP_PROXY: 'p' }, 'FROM scratch', 'ENV r=[$HTTP_PROXY]').env['r']).toBe('[]')
    expect([...proxyVariables(new Map([['HTTP_PROXY', 'a'], ['no_proxy', 'b'], ['other', 'c']]))]).toEqual([['HTTP_PROXY', 'a'], ['http_proxy', 'a'], ['NO_PROXY', 'b'], ['no_proxy', 'b']])
    expect(run({ HTTP_PROXY: 'p' }, 'FROM scratch', 'RUN x').scopes[0]?.historyArgs()).toEqual([])
    expect(run({ HTTP_PROXY: 'p' }, 'FROM scratch', 'ARG HTTP_PROXY', 'RUN x').scopes[0]?.historyArgs()).toEqual([['HTTP_PROXY', 'p']])
  })

  it('8 history shows every declared argument once, with the value RUN sees', () => {
    expect(run({}, 'FROM scratch', 'ARG b=1', 'ARG a=2', 'ARG b=3', 'ARG none', 'ENV a=4').scopes[0]?.historyArgs()).toEqual([['b', '3'], ['a', '4'], ['none', '']])
  })

  it('9 an unset variable is empty and the line stays', () => {
    const { instruction } = expandInstruction(only('WORKDIR $DIRPATH/$DIRNAME'), new Map(), parse('FROM scratch'))
    expect(instruction).toMatchObject({ path: { text: '/' } })
  })

  it('30 the names of ENV and LABEL are expanded, that of an ARG is not', () => {
    expect(run({}, 'FROM scratch', 'ARG a=b', 'ARG $a=no', 'ENV $a=yes r=[$b]').env).toEqual({ b: 'yes', r: '[]' })
  })

  it('a backslash escapes in double quotes and outside, not in single quotes', () => {
    expect(run({}, 'FROM scratch', 'ENV a=\'x\\\' b="y\\"" c=z\\ \\"').env).toEqual({ a: 'x\\', b: 'y"', c: 'z "' })
  })

  it('arguments that speak to the builder are no variables', () => {
    expect(run({}, 'FROM scratch', 'ARG BUILDKIT_SBOM_SCAN_STAGE=true', 'ENV r=[$BUILDKIT_SBOM_SCAN_STAGE]').env['r']).toBe('[]')
  })

  it('a flag that comes out empty is not given', () => {
    const { instruction } = expandInstruction(only('COPY --chown=$none --chmod=${m:-644} a b'), new Map(), parse('FROM scratch'))
    expect(instruction).toMatchObject({ chown: undefined, chmod: { text: '644' } })
  })

  it('names such as __proto__ and constructor are names like others', () => {
    expect(run({}, 'FROM scratch', 'ENV __proto__=1 constructor=2', 'ENV r=$__proto__$constructor$toString').env['r']).toBe('12')
  })
})

describe('lines', () => {
  it('15 a line may be as long as it likes', () => {
    expect(only(`ENV a=${'x'.repeat(1_000_000)}`)).toMatchObject({ pairs: [{ value: { text: 'x'.repeat(1_000_000) } }] })
  })

  it('14 a comment or blank line in a continuation is no part of it, # after text is', () => {
    expect(only('RUN a \\', '# comment \\', '', '  b # c')).toMatchObject({ command: { line: 'a   b # c' } })
  })

  it('16 here-documents belong to RUN, COPY, ADD and triggers of these', () => {
    expect(only('USER <<EOF')).toMatchObject({ user: { text: '<<EOF' } })
    expect(only('ONBUILD ADD <<EOF /x', 'body', 'EOF')).toMatchObject({ trigger: 'ADD <<EOF /x\nbody\nEOF' })
    expect(refusal('FROM scratch', 'CMD cat <<EOF', 'body', 'EOF').rule).toBe('instruction')
  })

  it('17 the shebang of a here-document is the first thing of its content', () => {
    expect(only('RUN <<-EOF', '\t#!/bin/sh', '\tx', '\tEOF')).toMatchObject({ command: { line: '<<-EOF', heredocs: [{ content: '#!/bin/sh\nx\n', rawContent: '\t#!/bin/sh\n\tx\n' }] } })
  })

  it('18 the delimiter names the file, and two of one name stay two', () => {
    expect(only('COPY <<A <<A /d/', '1', 'A', '2', 'A')).toMatchObject({ sources: [{ heredoc: { name: 'A', content: '1\n' } }, { heredoc: { name: 'A', content: '2\n' } }] })
  })

  it('19 JSON that does not parse is shell form, JSON that holds no texts is refused', () => {
    for (const args of ["['a']", '["a"', '["a"] b', '["a",]', '[a]']) expect(only(`CMD ${args}`)).toMatchObject({ command: { form: 'shell', line: args } })
    for (const args of ['[1]', '["a", null]', '[["a"]]', '[true]']) expect(refusal('FROM scratch', `CMD ${args}`).rule).toBe('json-form')
  })

  it('20 flags come first, in lower case, once, and -- ends them', () => {
    expect(only('COPY a --chown=1 /x')).toMatchObject({ chown: undefined, sources: [{ path: { text: 'a' } }, { path: { text: '--chown=1' } }] })
    for (const line of ['COPY --Chown=1 a b', 'COPY --chown=1 --chown=1 a b', 'RUN --network=none --network=none x', 'ENV --x a=b']) expect(refusal('FROM scratch', line).rule).toBe('flag')
  })
})

describe('stages', () => {
  const resolve = (...lines: readonly string[]): ReturnType<typeof resolveStages> => {
    const dockerfile = parse(...lines)
    return resolveStages(dockerfile, evaluateGlobalArgs(dockerfile, { buildArgs: new Map(), platformArgs: new Map() }), new Set(['ctx', 'named']))
  }
  const stageError = (...lines: readonly string[]): DockerfileError => {
    try {
      reachableStages(resolve(...lines), 0)
    } catch (error) {
      if (error instanceof DockerfileError) return error
      throw error
    }
    throw new Error('nothing was refused')
  }

  it('21 a stage that is not built may name a later one', () => {
    expect([...reachableStages(resolve('FROM scratch AS a', 'COPY --from=b x y', 'FROM scratch AS b'), 1)]).toEqual([1])
  })

  it('21 names are looked up whatever their case, numbers count all stages, and only earlier stages can be named', () => {
    const [, second] = resolve('FROM scratch AS One', 'FROM ONE', 'COPY --from=oNe a b', 'COPY --from=0 a b', 'RUN --mount=from=One,target=/x y', 'COPY --from=image:1 a b')
    expect(second?.base).toEqual({ kind: 'stage', index: 0 })
    expect(second?.uses.map(({ source }) => source)).toEqual([{ kind: 'stage', index: 0 }, { kind: 'stage', index: 0 }, { kind: 'stage', index: 0 }, { kind: 'image', name: 'image:1' }])
    expect(stageError('FROM scratch AS a', 'COPY --from=b x y', 'FROM scratch AS b').problem).toContain('later')
    expect(stageError('FROM scratch AS a', 'COPY --from=1 x y', 'FROM scratch AS b').problem).toContain('later')
    expect(stageError('FROM scratch AS a', 'COPY --from=a x y').problem).toContain('itself')
    expect(stageError('FROM scratch AS a', 'COPY --from=7 x y').problem).toContain('no stage 7')
    expect(stageError('FROM scratch AS a', 'RUN --mount=from=b,target=/x y', 'FROM scratch AS b').problem).toContain('later')
  })

  it('21 a named context beats a stage, a stage beats an image', () => {
    const stages = resolve('FROM scratch AS ctx', 'FROM scratch AS alpine', 'FROM alpine', 'COPY --from=ctx a b', 'COPY --from=named a b', 'FROM named')
    expect(stages.map(({ base }) => base.kind)).toEqual(['context', 'scratch', 'stage', 'context'])
    expect(stages[2]?.uses.map(({ source }) => source.kind)).toEqual(['context', 'context'])
  })

  it('21 of two stages with one name the nearer earlier one is meant, and FROM a AS a is the image', () => {
    expect(resolve('FROM scratch AS a', 'FROM scratch AS a', 'FROM a')[2]?.base).toEqual({ kind: 'stage', index: 1 })
    expect(resolve('FROM alpine AS alpine')[0]?.base).toEqual({ kind: 'image', name: 'alpine' })
    expect(resolve('FROM busybox', 'FROM 0')[1]?.base).toEqual({ kind: 'image', name: '0' })
  })

  it('22 a stage has no number for a name, and may be called scratch', () => {
    expect(refusal('FROM scratch AS 0').rule).toBe('stage')
    expect(resolve('FROM busybox AS scratch', 'FROM scratch')[1]?.base).toEqual({ kind: 'stage', index: 0 })
  })

  it('23 stages that the target does not need are not reached', () => {
    const stages = resolve('FROM scratch AS a', 'FROM scratch AS b', 'FROM a AS c', 'COPY --from=b x y', 'FROM scratch AS d')
    expect([...reachableStages(stages, 2)].sort()).toEqual([0, 1, 2])
    expect([...reachableStages(stages, 3)]).toEqual([3])
  })

  it('a target is found by name or number, and the nearest name is suggested', () => {
    const dockerfile = parse('FROM scratch AS build', 'FROM scratch')
    expect([findTarget(dockerfile, undefined), findTarget(dockerfile, 'BUILD'), findTarget(dockerfile, '1')]).toEqual([1, 0, 1])
    expect(() => findTarget(dockerfile, 'biuld')).toThrow(expect.objectContaining({ rule: 'stage', suggestion: 'build' }))
  })

  it('a base that comes out empty names the variable, and the one that was meant', () => {
    expect(stageError('ARG version=1', 'FROM $verison')).toMatchObject({ rule: 'stage', suggestion: 'version', range: { startLine: 2, startColumn: 5, endColumn: 13 } })
  })
})

describe('triggers', () => {
  it('24 ONBUILD cannot trigger ONBUILD, FROM or MAINTAINER, in a file or in an image', () => {
    for (const trigger of ['ONBUILD RUN x', 'from scratch', 'MAINTAINER me']) {
      expect(refusal('FROM scratch', `ONBUILD ${trigger}`).rule).toBe('onbuild')
      expect(() => parseOnbuildTrigger(trigger)).toThrow(expect.objectContaining({ rule: 'onbuild' }))
    }
  })

  it('a stored trigger is read as it was written, here-documents included', () => {
    const stored = only('ONBUILD RUN cat <<-A \\', '  <<B', '\t1', '\tA', '2', 'B')
    const trigger: Instruction = parseOnbuildTrigger(stored.kind === 'ONBUILD' ? stored.trigger : '')
    expect(trigger).toMatchObject({ kind: 'RUN', command: { line: 'cat <<-A   <<B', heredocs: [{ content: '1\n' }, { content: '2\n' }] } })
  })

  it('a stored trigger that is empty, unknown or more than one instruction is refused', () => {
    for (const trigger of ['', '  ', 'RNU x', 'RUN x\nRUN y', 'COPY a']) expect(() => parseOnbuildTrigger(trigger)).toThrow(DockerfileError)
  })
})

describe('settings', () => {
  it('27 HEALTHCHECK keeps times in nanoseconds, and NONE has no command', () => {
    expect(only('HEALTHCHECK --interval=1.5s --retries=2 CMD x')).toMatchObject({ intervalNs: 1_500_000_000, retries: 2, timeoutNs: undefined, command: { line: 'x' } })
    expect(only('HEALTHCHECK NONE')).toMatchObject({ command: undefined })
  })

  it('31 USER and 34 VOLUME are kept as written', () => {
    expect(only('USER  some one:x')).toMatchObject({ user: { text: 'some one:x' } })
    expect(only('VOLUME ["/a b", "/c/"]')).toMatchObject({ paths: [{ text: '/a b' }, { text: '/c/' }] })
  })

  it('43 wildcards of COPY are those of filepath.Match', () => {
    expect([matchPath('*', '.hidden'), matchPath('**', 'a/b'), matchPath('[[]x]', '[x]')]).toEqual(['match', 'no-match', 'match'])
  })

  it('52 --chmod goes up to 7777, and X asks what the file is', () => {
    const place = { source: { name: '', text: '' }, range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 0 } }
    expect(() => parseChmod('10000', place)).toThrow(expect.objectContaining({ rule: 'mode' }))
    expect([true, false].map((isDirectory) => applyChmod(parseChmod('go+X', place), { mode: 0o600, isDirectory }))).toEqual([0o611, 0o600])
  })
})
