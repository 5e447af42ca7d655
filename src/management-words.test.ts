import { describe, expect, it } from 'vitest'
import { commands } from './commands/index.ts'
import { withoutManagementWord } from './management-words.ts'

describe('a management word', () => {
  it.each([
    ['image ls -q', 'images -q'], ['image rm a', 'rmi a'], ['image inspect a', 'inspect --type=image a'], ['container ls -a', 'ps -a'],
    ['container inspect a', 'inspect --type=container a'], ['buildx build .', 'build .'], ['image prune -a', 'prune --filter=type=image -a'], ['builder prune', 'prune --filter=type=cache'], ['buildx prune', 'prune --filter=type=cache'], ['image --help', 'help'], ['system df -v', 'df -v'],
    ['buildx imagetools inspect --raw a', 'inspect --remote --raw a'], ['manifest inspect a', 'inspect --remote --raw a'], ['buildx version', 'version'], ['container prune -f', 'rm --ended -f'], ['container export a', 'export a'],
    ['system prune', 'system prune'], ['images', 'images'], ['', ''],
  ])('is understood: %s', (line, expected) => {
    expect(withoutManagementWord(line.split(' ')).join(' ')).toBe(expected)
  })

  it.each(['image', 'container', 'builder', 'buildx', 'manifest'])('leads to commands that are there: %s', (word) => {
    const verbs = /knows (.*), not/u.exec(catchMessage(word))?.[1]?.split(', ') ?? []
    expect(verbs.length).toBeGreaterThan(0)
    for (const verb of verbs) expect([...commands.map(({ name }) => name), 'version']).toContain(withoutManagementWord([word, ...verb.split(' ')])[0])
  })

  it.each(['image', 'image frob', 'container image', 'buildx imagetools', 'manifest frob'])('with another verb is refused, with those there are: %s', (line) => {
    expect(() => withoutManagementWord(line.split(' '))).toThrow(/knows .*, not/u)
  })
})

function catchMessage(word: string): string {
  try {
    return withoutManagementWord([word]).join(' ')
  } catch (error) {
    return error instanceof Error ? error.message : ''
  }
}
