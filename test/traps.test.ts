import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { titlesOf } from './support/named-tests.ts'

/** The known traps of the language, by number. Each has a test of its own on a real build that begins with the number. */
const traps: readonly string[] = [
  'scope of a global ARG', 'inheritance of ARG', 'ENV before ARG', 'one snapshot', 'build argument that no ARG declares', 'platform arguments', 'proxy arguments', 'changed ARG', 'unset variable', 'modifiers',
  'quotes and escapes', 'escape directive', 'directives', 'comments in continuations', 'long lines', 'here-documents, where', 'RUN with a here-document', 'COPY of a here-document', 'exec form', 'flags',
  'names of stages', 'numbers and scratch', 'stages that nothing needs', 'ONBUILD', 'ENTRYPOINT', 'shell form', 'HEALTHCHECK', 'EXPOSE', 'STOPSIGNAL', 'order of LABEL and ENV',
  'USER', 'WORKDIR', 'PATH', 'VOLUME', 'MAINTAINER', 'history', 'a base with a config', 'trailing slashes', 'copied by its contents', 'several sources',
  'relative destinations', 'a name must be there', 'wildcards', 'paths that lead out', 'link in the destination', 'links as sources', 'a link where', 'destination that exists', 'directories made on the way', 'owners',
  '--chown', '--chmod', 'chown, setuid', 'umask', 'extended attributes', 'hard links', 'sparse files', 'fifos', 'times', 'what a copy is known by',
  'archives', 'downloads', 'repositories', '--parents', '--exclude', '.dockerignore', 'names are bytes', 'mount points', 'directory of a cache mount', 'resolv.conf',
  '/run', 'background', 'how a step ends', 'identity of a cache mount', 'bind and tmpfs', 'secrets', 'no network', 'working directory', 'umask and limits', 'SOURCE_DATE_EPOCH',
  'whiteouts', 'made again hides', 'changes of type', 'deleted and made again', 'renamed', 'metadata alone', 'same tar', 'lead out',
]
const files = readdirSync(join(import.meta.dirname, 'e2e')).filter((name) => name.startsWith('traps-'))
const titles = files.flatMap((name) => titlesOf(`test/e2e/${name}`)).map((title) => title.split(/ (.*)/u))

describe('the traps', () => {
  it.each(traps.map((subject, index) => [index + 1, subject] as const))('%d, %s, has a test', (number, subject) => {
    expect(titles.filter(([found]) => Number(found) === number).map(([, title]) => title)).toEqual([expect.stringContaining(subject)])
  })

  it('are 88, and no test has another number', () => {
    expect(traps).toHaveLength(88)
    expect(titles.map(([number]) => Number(number)).sort((one, other) => one - other)).toEqual(traps.map((_, index) => index + 1))
  })
})
