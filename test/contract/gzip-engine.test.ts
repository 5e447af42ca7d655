import { spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chooseGzipEngine, compress } from '../../storage/index.ts'
import { collect, pieces, testGzipEngine } from './gzip-engine.ts'

const variable = 'TSBUILD_GZIP'
const original = process.env[variable]

afterEach(() => {
  if (original === undefined) Reflect.deleteProperty(process.env, variable)
  else process.env[variable] = original
})

describe.each(['isa-l', 'zlib'] as const)('gzip by %s', (name) => {
  beforeEach(() => {
    process.env[variable] = name
    // Debian's package is libisal2.
    expect(chooseGzipEngine().engine.name).toBe(name)
  })

  testGzipEngine()
})

describe('the choice', () => {
  it('is ISA-L when the machine has it', () => {
    Reflect.deleteProperty(process.env, variable)
    expect(chooseGzipEngine()).toMatchObject({ engine: { name: 'isa-l' }, reason: 'libisal.so.2 is there and works' })
  })

  it('refuses an engine that nobody knows', () => {
    process.env[variable] = 'pigz'
    expect(chooseGzipEngine).toThrow(expect.objectContaining({ code: 'STORAGE_GZIP_ENGINE_UNAVAILABLE', asked: 'pigz' }) as Error)
  })

  it('is zlib where the library is missing or another under its name, and then a wish for ISA-L is refused', () => {
    // An empty library under the name: an ISA-L that has nothing.
    const script = `
      d=$(mktemp -d); trap 'rm -r "$d"' EXIT
      echo 'int nothing;' > "$d/nothing.c" && cc -shared -Wl,-soname,libisal.so.2 -o "$d/libisal.so.2" "$d/nothing.c" && LD_LIBRARY_PATH="$d" "$@"`
    const program = `import { chooseGzipEngine } from './storage/index.ts'
      const { engine, reason } = chooseGzipEngine()
      process.env.TSBUILD_GZIP = 'isa-l'
      let code
      try { chooseGzipEngine() } catch (error) { code = error.code }
      console.log(JSON.stringify({ name: engine.name, reason, code }))`
    const { stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', process.execPath, '--input-type=module', '-e', program], { encoding: 'utf8', cwd: new URL('../..', import.meta.url).pathname })
    expect(JSON.parse(stdout || stderr)).toEqual({ name: 'zlib', reason: 'libisal.so.2 has no isal_deflate_init', code: 'STORAGE_GZIP_ENGINE_UNAVAILABLE' })
  })

  it('gives other bytes by ISA-L than by zlib', async () => {
    const content = Buffer.alloc(100_000, 'some text ')
    process.env[variable] = 'isa-l'
    const one = await collect(compress(pieces(content, 1000), 'gzip'))
    process.env[variable] = 'zlib'
    expect(one.equals(await collect(compress(pieces(content, 1000), 'gzip')))).toBe(false)
  })
})
