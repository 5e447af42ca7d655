import { describe, expect, it } from 'vitest'
import { useTrapBuilds } from '../support/trap-builds.ts'

/** Traps 1 to 24 of the language, each in a real build; `test/traps.test.ts` counts them. */

const { build, refusal } = useTrapBuilds('language')
const says = async (lines: string, given?: Parameters<typeof build>[1]): Promise<string> => (await build(lines, given)).said

describe('variables', () => {
  it('1 the scope of a global ARG', async () => {
    expect(await says('ARG tag=latest\nFROM busybox:$tag\nRUN echo "[$tag]"\nARG tag\nRUN echo "[$tag]"\n')).toBe('[]\n[latest]\n')
    expect(await says('ARG v=global\nFROM busybox\nARG v\nRUN echo $v', { buildArgs: { v: 'given' } })).toBe('given\n')
  })

  it('2 inheritance of ARG by stages', async () => {
    expect(await says('FROM busybox AS one\nARG a=1\nENV e=2\nFROM one AS two\nRUN echo "[$a$e]"\nFROM busybox\nCOPY --from=two /bin/sh /x\nRUN echo "[$a$e]"')).toBe('[12]\n[]\n')
  })

  it('3 ENV before ARG, and where an ARG gets its value', async () => {
    // Seen with Docker 26: of two in one stage the later counts, and an ARG also counts before what the base image sets.
    expect(await says('ARG y=global\nFROM busybox\nARG x=arg\nENV x=env\nARG y=stage\nRUN echo $x $y', { buildArgs: { x: 'given' } })).toBe('env stage\n')
    expect(await says('FROM busybox AS base\nENV x=env\nFROM base\nRUN echo $x\nARG x=arg\nRUN echo $x', { buildArgs: { x: 'given' } })).toBe('env\ngiven\n')
  })

  it('4 one instruction sees one snapshot of the variables', async () => {
    expect((await build('ENV a=old\nENV a=new b=$a')).config.Env).toEqual(expect.arrayContaining(['a=new', 'b=old']))
  })

  it('5 a build argument that no ARG declares', async () => {
    const { said, history } = await build('RUN echo "[$nobody]"', { buildArgs: { nobody: 'declared' } })
    expect(said).toBe('[]\n')
    expect(history.join()).not.toContain('declared')
  })

  it('6 platform arguments', async () => {
    expect(await says('RUN echo "[$TARGETARCH]"\nARG TARGETARCH TARGETOS\nRUN echo "[$TARGETARCH $TARGETOS]"', { buildArgs: { TARGETARCH: 'mine' } })).toBe('[]\n[mine linux]\n')
  })

  it('7 proxy arguments', async () => {
    const given = { buildArgs: { HTTP_PROXY: 'http://proxy.example:1' } }
    const silent = await build('RUN echo "$HTTP_PROXY"', given)
    expect(silent.said).toBe('http://proxy.example:1\n')
    expect(silent.history.join()).not.toContain('proxy.example')
    expect((await build('RUN echo "$HTTP_PROXY"', { buildArgs: { HTTP_PROXY: 'http://other.example:2' } })).outcomes['RUN echo "$HTTP_PROXY"']).toBe('cached')
    expect((await build('ARG HTTP_PROXY\nRUN true # declared', given)).history.join()).toContain('proxy.example')
  })

  it('8 a changed ARG misses at the first RUN behind it', async () => {
    const lines = 'RUN true # before\nARG v\nRUN true # behind\n'
    await build(lines, { buildArgs: { v: '1' } })
    expect((await build(lines, { buildArgs: { v: '2' } })).outcomes).toMatchObject({ 'RUN true # before': 'cached', 'RUN true # behind': 'executed' })
  })

  it('9 an unset variable is empty, and the line stays', async () => {
    expect((await build('WORKDIR /a/$nope/b')).config.WorkingDir).toBe('/a//b')
    expect((await build('ENV x=[$nope]')).config.Env).toContain('x=[]')
  })

  it('10 modifiers with and without a colon, and patterns', async () => {
    const { config } = await build('ENV e= v=a.tar.gz\nENV a=${e:-x} b=${e-x} c=${e:+y} d=${e+y} f=${v%.*} g=${v%%.*} h=${v#*.} i=${v##*.} j=${v/a/b} k=${v//a/b}')
    expect(config.Env).toEqual(expect.arrayContaining(['a=x', 'b=', 'c=', 'd=y', 'f=a.tar', 'g=a', 'h=tar.gz', 'i=gz', 'j=b.tar.gz', 'k=b.tbr.gz']))
    expect(await refusal('ENV e=\nENV a="${e:?is empty}"')).toContain('is empty')
    expect(await refusal('ENV v=1\nENV a=${v:#1}')).not.toBe('')
  })

  it('11 quotes and escapes', async () => {
    const { config, said } = await build('ENV v=1\nENV a=\'$v\' b="$v" c=\\$v d="x\'y"\nRUN echo "$v" \'$v\'')
    expect(config.Env).toEqual(expect.arrayContaining(['a=$v', 'b=1', 'c=$v', "d=x'y"]))
    expect(said).toBe('1 $v\n')
  })
})

describe('the text of a Dockerfile', () => {
  it('12 the escape directive, and bodies of here-documents', async () => {
    const { at, said } = await build('# escape=`\nFROM busybox\nARG v=1\nRUN echo a `\n b\nCOPY <<EOF /h\n$v \\$v `$v\nEOF')
    expect(said).toBe('a b\n')
    expect(await at('/h')).toBe('file 644 0:0 1 $v `1')
  })

  it('13 directives stand at the very top', async () => {
    expect(await says('\ufeff# Escape = `\nFROM busybox\nRUN echo a`\n b')).toBe('a b\n')
    expect(await says('# unknown=1\n# escape=`\nFROM busybox\nRUN echo a\\\nb')).toBe('ab\n')
    expect(await refusal('# escape=`\n# escape=`\nFROM busybox')).toContain('escape')
  })

  it('14 comments in continuations', async () => {
    expect(await says('RUN echo a \\\n  # gone\n\n b \\  \n c # d')).toBe('a b c\n')
  })

  it('15 long lines', async () => {
    expect(await says(`RUN echo ${'x'.repeat(100_000)} | wc -c`)).toBe('100001\n')
  })

  it('16 here-documents, where and how', async () => {
    const { at } = await build('ARG v=1\nCOPY <<one <<-"two" /d/\n$v\none\n\t $v\n\ttwo')
    expect([await at('/d/one'), await at('/d/two')]).toEqual(['file 644 0:0 1', 'file 644 0:0  $v'])
    expect(await refusal('RUN <<EOF\necho')).toContain('EOF')
    expect((await build('LABEL a="<<EOF"')).config.Labels).toEqual({ a: '<<EOF' })
  })

  it('17 RUN with a here-document: interpreter, shell, or input of a command', async () => {
    const { said, list } = await build('RUN <<EOF\n#!/bin/sh -e\necho $0\nEOF\nRUN <<EOF\necho in $0\nEOF\nRUN cat <<EOF\nbody\nEOF')
    expect(said).toBe('/dev/pipes/EOF\nin /bin/sh\nbody\n')
    expect(await list('/dev')).toEqual([])
  })

  it('18 COPY of a here-document', async () => {
    const { at } = await build('COPY <<name /into/\nx\nname\nCOPY --chmod=750 --chown=3:4 <<name /as\ny\nname')
    expect([await at('/into/name'), await at('/as')]).toEqual(['file 644 0:0 x', 'file 750 3:4 y'])
    expect(await refusal('COPY /a <<EOF\nEOF')).not.toBe('')
  })

  it('19 the exec form is JSON, or it is shell', async () => {
    expect((await build("CMD ['a']")).config.Cmd).toEqual(['/bin/sh', '-c', "['a']"])
    expect((await build('CMD ["a", "\\u0041"]')).config.Cmd).toEqual(['a', 'A'])
    expect(await refusal('CMD ["a", 1]')).not.toBe('')
  })

  it('20 flags', async () => {
    const given = { files: { '--from=x': 'dashed' } }
    expect(await (await build('COPY -- --from=x /d', given)).at('/d')).toBe('file 644 0:0 dashed')
    expect(await refusal('COPY --chown=1 --chown=2 a /', given)).toContain('chown')
    expect(await refusal('COPY --fron=x a /', given)).toContain('--from')
    expect(await refusal('COPY --FROM=x a /', given)).not.toBe('')
  })
})

describe('stages', () => {
  it('21 names of stages', async () => {
    const { at } = await build('FROM busybox AS One\nRUN echo 1 >/o\nFROM scratch\nCOPY --from=oNE /o /a\nCOPY --from=0 /o /b')
    expect([await at('/a'), await at('/b')]).toEqual(['file 644 0:0 1', 'file 644 0:0 1'])
    expect(await refusal('FROM busybox AS one\nCOPY --from=two /x /\nFROM busybox AS two\nCOPY --from=one /x /')).toContain('later in the file')
  })

  it('22 numbers and scratch as names', async () => {
    expect(await refusal('FROM busybox AS 1x')).toContain('1x')
    expect(await (await build('FROM busybox AS scratch\nFROM scratch\nCOPY <<f /\nx\nf')).list('/')).toContain('bin')
  })

  it('23 stages that nothing needs are not built', async () => {
    expect((await build('FROM busybox AS broken\nRUN false\nFROM busybox\nRUN true # needed')).outcomes).not.toHaveProperty('RUN false')
  })

  it('24 ONBUILD', async () => {
    const { said, config } = await build('FROM busybox AS base\nONBUILD RUN echo first\nONBUILD RUN echo second\nFROM base\nRUN echo third')
    expect(said).toBe('first\nsecond\nthird\n')
    expect(config.OnBuild).toBeUndefined()
    for (const trigger of ['ONBUILD RUN x', 'FROM busybox', 'MAINTAINER me']) expect(await refusal(`ONBUILD ${trigger}`)).toContain('ONBUILD')
  })
})
