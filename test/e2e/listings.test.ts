import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const line = useCommand('listings')
const { must, run, context } = line

beforeAll(() => {
  importBusybox(line)
  must('-q', '-t', 'app:1', context('app', { Dockerfile: 'FROM busybox\nLABEL kind=trial\nCOPY file /file\nRUN echo a very long line that has to be shortened in a table that people read\n', file: 'x' }))
  must('tag', 'app:1', 'team/app:2')
})

describe('images', () => {
  it('are listed by name, glob and template', () => {
    const names = '{{.Repository}}:{{.Tag}}'
    expect(must('images', '--format', names, '--filter', 'reference=app:*', '--filter', 'reference=busybox').split('\n').sort()).toEqual(['app:1', 'busybox:latest'])
    expect(must('images', '--format', names, '--filter', 'reference=*/app').split('\n')).toEqual(['team/app:2'])
    expect(must('images', '--filter', 'dangling=true', '--format', names)).toBe('')
    expect(must('images', 'app', '--format', 'table {{.Tag}}\\t{{.Repository}}')).toBe('TAG   REPOSITORY\n1     app')
    expect(must('images', 'app', '--format', 'json')).toContain('"Repository":"app","Tag":"1"')
  })

  it('are listed by label and age, and with their digests', () => {
    const names = (...filters: readonly string[]): string[] => must('images', '--format', '{{.Repository}}:{{.Tag}}', ...filters.flatMap((filter) => ['--filter', filter])).split('\n').sort()
    expect(names('label=kind')).toEqual(['app:1', 'team/app:2'])
    expect(names('label=kind=trial', 'reference=app:*')).toEqual(['app:1'])
    expect(names('label=kind=other')).toEqual([''])
    expect(names('since=busybox')).toEqual(['app:1', 'team/app:2'])
    expect(names('before=app:1')).toEqual(['busybox:latest'])
    expect(names('until=1h')).toEqual([''])
    expect(names('until=0s')).toEqual(['app:1', 'busybox:latest', 'team/app:2'])
    const digest = must('inspect', '-f', '{{.Descriptor.digest}}', 'app:1')
    expect(must('images', '--digests', 'app')).toMatch(new RegExp(`^REPOSITORY +TAG +DIGEST +IMAGE ID.*\\napp +1 +${digest} +`, 'u'))
    expect(run('images', '--filter', 'since=nosuch')).toMatchObject({ exitCode: 3, stdout: '' })
    expect(run('images', '--filter', 'until=soon').exitCode).toBe(2)
  })

  it.each([['--filter', 'dangling=true', '--filter', 'dangling=false'], ['--filter', 'size=3'], ['--json', '--format', '{{.ID}}'], ['-q', '--json'], ['--format', '{{.Nothing}}']])('are not listed in two ways, or by what there is not: %s %s', (...args) => {
    expect(run('images', ...args)).toMatchObject({ exitCode: 2, stdout: '' })
  })
})

describe('history', () => {
  it('has a line for each step as the template says, the newest first', () => {
    const id = must('images', '-q', 'app')
    const ids = must('history', '--format', '{{.ID}} {{.CreatedBy}}', 'app:1').split('\n')
    expect(ids[0]).toMatch(new RegExp(`^${id} RUN /bin/sh -c echo .*…$`, 'u'))
    expect(ids.slice(1).every((step) => step.startsWith('<missing> '))).toBe(true)
    expect(must('history', '--no-trunc', '--format', '{{.ID}} {{.CreatedBy}}', 'app:1').split('\n')[0]).toMatch(new RegExp(`^sha256:${id}[0-9a-f]{52} RUN .* people read$`, 'u'))
    expect(must('history', '--format', '{{.Size}} {{.Inodes}} {{.CreatedBy}}', 'app:1').split('\n')).toContain('0B 0 LABEL kind=trial')
    expect(must('history', '-q', 'app:1').split('\n').slice(0, 2)).toEqual([id, '<missing>'])
    expect(must('history', 'app:1').split('\n')[0]).toMatch(/^CREATED +CREATED BY +SIZE +INODES +COMMENT$/u)
    expect(must('history', '--format', 'json', 'app:1').split('\n').map((step) => Object.keys(JSON.parse(step) as object))[0]).toEqual(['ID', 'CreatedSince', 'CreatedAt', 'CreatedBy', 'Size', 'Inodes', 'Comment'])
  })

  it.each([['--format', '{{.Id}}', 'app:1'], ['--json', '--format', 'json', 'app:1'], ['--no-trunc', 'show', 'latest'], ['--json', 'logs', 'latest']])('refuses what it would not look at: %s %s %s', (...args) => {
    expect(run('history', ...args)).toMatchObject({ exitCode: 2, stdout: '' })
  })
})

describe('inspect', () => {
  it('fills a template, with all fields an image may have', () => {
    expect(must('inspect', '-f', '{{.Config.Labels.kind}} {{.Config.User}}{{.Config.Volumes}} {{index .Config.Labels "other"}}|', 'app:1')).toBe('trial map[] |')
    expect(Object.keys((JSON.parse(must('inspect', 'app:1')) as { Config: object }[])[0]?.Config ?? {})).not.toContain('Volumes')
  })

  it('says nothing of an ended container that it does not know', () => {
    must('run', '-d', '--name', 'done', 'busybox', 'true')
    must('logs', '-f', 'done')
    expect(must('inspect', '-f', '{{.Config.Image}} {{.Path}}', 'done')).toBe('busybox true')
    expect(run('inspect', '-f', '{{.Config.Env}}', 'done')).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('finds no "Env"') as string })
    must('rm', 'done')
  })

  it.each([['--raw', 'app:1'], ['--remote', '--raw', '--format', '{{.x}}', 'app:1'], ['--remote', '--raw', '--platform', 'linux/amd64', 'app:1'], ['--remote', '--type', 'image', 'app:1'], ['--type', 'volume', 'app:1']])('refuses what it would not look at: %s %s', (...args) => {
    expect(run('inspect', ...args)).toMatchObject({ exitCode: 2, stdout: '' })
  })
})
