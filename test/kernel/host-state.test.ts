import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const rules = 'add table ip others; add chain ip others input; add rule ip others input tcp dport 22 counter accept'
const states = JSON.stringify(join(import.meta.dirname, '../../scripts/host-state.ts'))

/** What the comparison finds after this was done to the rules of a network namespace that has some of other programs. */
function changesBy(done: string): string[] {
  const script = `import { execFileSync } from 'node:child_process'
    import { compareStates, lookAtHost } from ${states}
    execFileSync('nft', [${JSON.stringify(rules)}])
    const before = lookAtHost()
    execFileSync('nft', [${JSON.stringify(done)}])
    console.log(JSON.stringify(compareStates(before, lookAtHost()).filter((entry) => entry.includes('rules '))))`
  return JSON.parse(execFileSync('unshare', ['--net', process.execPath, '--input-type=module', '-e', script], { encoding: 'utf8' })) as string[]
}

const others = 'table ip others { chain input { tcp dport 22 counter accept } }'

describe('the look at what is left on the host', () => {
  it('finds a rule in a table of others, and one that is gone', () => {
    expect(changesBy('add rule ip others input udp dport 53 drop')).toEqual([`rules ${others.replace(' }', ' udp dport 53 drop }')}`, `gone: rules ${others}`])
    expect(changesBy('delete table ip others')).toEqual([`gone: rules ${others}`])
  })

  it('leaves our own table out, which stays by design', () => {
    expect(changesBy('add table ip tsbuild; add chain ip tsbuild postrouting')).toEqual([])
    expect(changesBy('add table ip tsbuild-of-others')).toEqual(['rules table ip tsbuild-of-others { }'])
  })
})
