import { expect, it } from 'vitest'
import { parseDockerfile } from '../dockerfile/parse.ts'
import { lower } from './lower.ts'

const platform = { os: 'linux', architecture: 'amd64' }

it('an image is asked for in the name of the word that names it', async () => {
  const text = 'FROM one\nRUN true\nCOPY --from=two /x /\nRUN --mount=type=bind,from=three,target=/c true\n'
  const asked: unknown[] = []
  await lower({ dockerfile: parseDockerfile({ name: 'Dockerfile', text }), target: undefined, buildArgs: new Map(), platform, buildPlatform: platform, contexts: new Map() }, {
    resolve: (name, _platform, { source, range }) => {
      const line = source.text.split('\n')[range.startLine - 1] ?? ''
      asked.push([name, range.startLine, line.slice(range.startColumn, range.endColumn)])
      return Promise.resolve({ name, config: { ...platform, config: {}, rootfs: { type: 'layers', diff_ids: [] }, history: [] }, layers: [] })
    },
  })
  expect(asked).toEqual([['one', 1, 'one'], ['two', 3, 'two'], ['three', 4, 'RUN --mount=type=bind,from=three,target=/c true']])
})
