import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../oci/digest.ts'
import type { CommandLine } from '../support/command.ts'
import { importBusybox, useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-e2e-shared-'))
const conf = join(folder, 'registries.conf')
const env = { CONTAINERS_REGISTRIES_CONF: conf }
const [one, two, three] = [useCommand('shared-1', { env }), useCommand('shared-2', { env }), useCommand('shared-3', { env })]
let registry: DockerRegistry
beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(folder, 'registry') })
  writeFileSync(conf, `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
  importBusybox(one)
  one.must('save', '-o', join(folder, 'base.tar'), 'busybox')
  for (const command of [two, three]) command.must('load', '-i', join(folder, 'base.tar'))
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** `seed` makes it a Dockerfile no other test has. */
const dockerfile = (seed: string): string => `FROM busybox AS made
RUN echo ${seed} >/made && mkdir -p /big && echo ${seed} >/big/file
FROM busybox
WORKDIR /app
COPY --from=made /made /app/
RUN cat /app/made >/app/copy
`

interface Built { readonly stderr: string; readonly exitCode: number | null; readonly id: string | undefined; readonly executed: number }

/** In the background: a test that waits for a process alone does not read what the registry says, and then the registry waits for the test. */
async function attempt(command: CommandLine, ...args: readonly string[]): Promise<Built> {
  const child = command.start(...args)
  if (child.stderr === null) throw new TypeError('the process has no stderr')
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const stderr = await text(child.stderr)
  return { stderr, exitCode: await ended, id: /exported (\S+)/u.exec(stderr)?.[1], executed: stderr.match(/^#\d+ DONE/gmu)?.length ?? 0 }
}

async function build(command: CommandLine, seed: string, ...args: readonly string[]): Promise<Built> {
  const built = await attempt(command, 'build', '--progress', 'plain', '--network', 'none', ...args, command.context(seed, { Dockerfile: dockerfile(seed) }))
  expect(built.exitCode, built.stderr).toBe(0)
  return built
}

describe('a shared cache', () => {
  it('of a registry gives another machine every step, with the same image', async () => {
    const ref = `type=registry,ref=${registry.host}/cache/max:1`
    const first = await build(one, 'max', '--cache-to', `${ref},mode=max`)
    const second = await build(two, 'max', '--cache-from', ref)
    expect([first.executed, second.executed], second.stderr).toEqual([4, 0])
    expect(second.id).toBe(first.id)
    // What of it was not fetched is there once it is written on to elsewhere.
    expect((await build(two, 'max', '--cache-from', ref, '--cache-to', `type=local,dest=${folder}/passed-on,mode=max`)).executed).toBe(0)
    expect(await build(three, 'max', '--cache-from', `type=local,src=${folder}/passed-on`)).toMatchObject({ executed: 0, id: first.id })
  })

  it('has the form BuildKit documents', async () => {
    await build(one, 'form', '--cache-to', `type=registry,ref=${registry.host}/cache/form:1,mode=max`)
    const answer = await fetch(`http://${registry.host}/v2/cache/form/manifests/1`, { headers: { accept: 'application/vnd.oci.image.manifest.v1+json' } })
    const manifest = await answer.json() as { config: { mediaType: string; digest: string }; layers: { digest: string }[] }
    expect(manifest.config.mediaType).toBe('application/vnd.buildkit.cacheconfig.v0')
    const config = await (await fetch(`http://${registry.host}/v2/cache/form/blobs/${manifest.config.digest}`)).json() as { layers: { blob: string; annotations: object }[]; records: { digest: string; layers: { layer: number }[] }[] }
    expect(config.layers.map(({ blob }) => blob).sort()).toEqual(manifest.layers.map(({ digest }) => digest).sort())
    expect(config.records.length).toBeGreaterThan(4)
    expect(config.records.every(({ layers: [result] }) => config.layers[result?.layer ?? -1] !== undefined)).toBe(true)
  })

  it('inside a pushed image serves its own steps', async () => {
    const name = `${registry.host}/app/inline:1`
    const first = await build(one, 'inline', '-t', name, '--push', '--cache-to', 'type=inline')
    const second = await build(two, 'inline', '--cache-from', name, '--cache-to', 'type=inline')
    expect([first.executed > 1, second.executed], second.stderr).toEqual([true, 0])
  })

  it.each(['mode=min', 'inline'])('with the layers of the image alone spares the other stages, unless their layers are needed: %s', async (mode) => {
    const seed = `least-${mode.replace('=', '-')}`
    const name = `${registry.host}/app/${seed}:1`
    const ref = mode === 'inline' ? name : `type=registry,ref=${registry.host}/cache/${seed}:1`
    // What was found in the store before is written too.
    await build(one, seed)
    const first = await build(one, seed, ...mode === 'inline' ? ['-t', name, '--push', '--cache-to', 'type=inline'] : ['--cache-to', `${ref},${mode}`])
    const second = await build(two, seed, '--cache-from', ref)
    expect([second.executed, mode === 'inline' || second.id === first.id], second.stderr).toEqual([0, true])
    const changed = two.context(`${seed}-changed`, { Dockerfile: dockerfile(seed).replace('WORKDIR /app', 'WORKDIR /app\nCOPY --from=made /big /app/') })
    const third = await attempt(two, 'build', '--progress', 'plain', '--network', 'none', '--cache-from', ref, changed)
    expect([third.exitCode, third.executed, third.stderr.match(/^#1 /gmu)?.length], third.stderr).toEqual([0, 4, 2])
    expect(third.stderr).not.toContain('warning')
    // What the first machine has is of use to a third, though the stage was made again.
    const fourth = await attempt(three, 'build', '--progress', 'plain', '--network', 'none', '--cache-from', ref, '--cache-to', `type=local,dest=${folder}/${seed},mode=max`, three.context(seed, { Dockerfile: dockerfile(seed) }))
    expect([fourth.exitCode, fourth.executed], fourth.stderr).toEqual([0, 0])
  })

  it('keeps what several builders write at the same time readable, and what others wrote before', async () => {
    const ref = `type=registry,ref=${registry.host}/cache/many:1`
    const buildAtOnce = async (turn: number): Promise<number[]> => {
      const seeds = ['a', 'b', 'c'].map((name) => `many-${turn}-${name}`)
      const exits = await Promise.all(seeds.map((seed, index) => {
        const command = [one, two, three][index] ?? one
        const child = command.start('build', '-q', '--network', 'none', '--cache-to', `${ref},mode=max`, command.context(seed, { Dockerfile: dockerfile(seed) }))
        return new Promise((resolve) => child.on('close', resolve))
      }))
      expect(exits).toEqual([0, 0, 0])
      return Promise.all([two, three, one].map(async (command, index) => (await build(command, seeds[index] ?? '', '--cache-from', ref)).executed))
    }
    // A registry has no locks: who stands still between looking and writing, for longer than others look after what they wrote, writes over it.
    const executed: (readonly number[])[] = []
    while (executed.length < 3 && executed.at(-1)?.every((count) => count === 0) !== true) executed.push(await buildAtOnce(executed.length))
    expect(executed.at(-1), JSON.stringify(executed)).toEqual([0, 0, 0])
    await build(one, 'many-d', '--cache-to', `${ref},mode=max`)
    await build(one, 'many-e', '--cache-to', `${ref},mode=max`)
    expect([(await build(two, 'many-d', '--cache-from', ref)).executed, (await build(three, 'many-e', '--cache-from', ref)).executed]).toEqual([0, 0])
  })

  it('that cannot be read is left out with a warning; one that cannot be written fails the build, or warns', async () => {
    const unreachable = `type=registry,ref=127.0.0.1:1/cache:1`
    expect((await build(one, 'unreachable', '--cache-from', unreachable, '--cache-from', `type=local,src=${folder}/none`)).stderr.match(/going on without the cache/gu)).toHaveLength(2)
    const path = one.context('unreachable', { Dockerfile: dockerfile('unreachable') })
    const notThere = `type=local,dest=${conf}/cache`
    expect((await attempt(one, 'build', '-q', '--network', 'none', '--cache-to', notThere, path)).exitCode).toBe(1)
    expect((await build(one, 'unreachable', '--cache-to', `${notThere},ignore-error=true`)).stderr).toContain('was not written')
  })
})

it('--pull=newer takes the image of a registry when it is another, and missing stays with the one that is there', async () => {
  const base = `${registry.host}/base/moving:1`
  const publish = (content: string): Promise<Built> => attempt(one, 'build', '-q', '--network', 'none', '-t', base, '--push', one.context(`moving-${content}`, { Dockerfile: `FROM busybox\nRUN echo ${content} >/version\n` }))
  const path = two.context('on-moving', { Dockerfile: `FROM ${base}\nRUN cat /version\n` })
  const seen = async (...args: readonly string[]): Promise<string | undefined> => /^#2 \S+ (v\d)$/mu.exec((await attempt(two, 'build', '--no-cache', '--progress', 'plain', '--network', 'none', ...args, path)).stderr)?.[1]
  expect((await publish('v1')).exitCode).toBe(0)
  expect(await seen()).toBe('v1')
  expect((await publish('v2')).exitCode).toBe(0)
  expect([await seen(), await seen('--pull=never'), await seen('--pull=newer'), await seen()]).toEqual(['v1', 'v1', 'v2', 'v2'])
})

describe('a poisoned cache', () => {
  const blobs = (cache: string): string[] => readdirSync(join(cache, 'blobs/sha256')).map((name) => join(cache, 'blobs/sha256', name))
  const isGzip = (path: string): boolean => readFileSync(path).subarray(0, 2).equals(Buffer.from([0x1f, 0x8b]))
  /** Replaces a document of the layout and everything that names its digest. */
  const rewrite = (cache: string, change: (text: string) => string): void => {
    const [config = ''] = blobs(cache).filter((path) => !isGzip(path) && readFileSync(path, 'utf8').includes('"records"'))
    const replace = (path: string, text: string): readonly [string, string] => {
      const next = join(cache, 'blobs/sha256', sha256(text).slice(7))
      writeFileSync(path, text)
      renameSync(path, next)
      return [path.slice(-64), next.slice(-64)]
    }
    const oldSize = statSync(config).size
    const [oldConfig, newConfig] = replace(config, change(readFileSync(config, 'utf8')))
    const size = statSync(join(cache, 'blobs/sha256', newConfig)).size
    const [manifest = ''] = blobs(cache).filter((path) => !isGzip(path) && readFileSync(path, 'utf8').includes(oldConfig))
    const manifestSize = statSync(manifest).size
    const [oldManifest, newManifest] = replace(manifest, readFileSync(manifest, 'utf8').replace(oldConfig, newConfig).replace(`"size":${oldSize}`, `"size":${size}`))
    const index = join(cache, 'index.json')
    writeFileSync(index, readFileSync(index, 'utf8').replace(oldManifest, newManifest).replace(`"size":${manifestSize}`, `"size":${statSync(join(cache, 'blobs/sha256', newManifest)).size}`))
  }

  it.each([
    ['with other bytes in a layer', (cache: string) => { for (const path of blobs(cache).filter(isGzip)) { const bytes = readFileSync(path); bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1; writeFileSync(path, bytes) } }],
    ['without its layers', (cache: string) => { for (const path of blobs(cache).filter(isGzip)) rmSync(path) }],
    ['that says of one layer that it is another', (cache: string) => { rewrite(cache, (text) => text.replaceAll(/"diffID":"sha256:[0-9a-f]{2}/gu, '"diffID":"sha256:ff')) }],
    ['that is no JSON', (cache: string) => { rewrite(cache, () => '{"records":') }],
    ['with results that are not there', (cache: string) => { rewrite(cache, (text) => text.replaceAll(/"layer":\d+/gu, '"layer":99')) }],
  ])('%s is refused, the steps are run, and what they made takes its place', async (name, poison) => {
    const seed = `poisoned-${name.replaceAll(' ', '-')}`
    const cache = join(folder, seed)
    const honest = await build(one, seed, '--cache-to', `type=local,dest=${cache},mode=max`)
    poison(cache)
    const outcome = await build(two, seed, '--cache-from', `type=local,src=${cache}`, '--cache-to', `type=local,dest=${cache},mode=max`)
    expect(outcome.executed, outcome.stderr).toBeGreaterThanOrEqual(honest.executed)
    expect(two.run('run', '--rm', '--network', 'none', '--entrypoint', 'cat', outcome.id ?? '', '/app/copy').stdout).toBe(`${seed}\n`)
    expect((await build(three, seed, '--cache-from', `type=local,src=${cache}`)).executed).toBe(0)
  })

  it('of a pulled image is not asked unless it was named', async () => {
    const name = `${registry.host}/app/unasked:1`
    await build(one, 'unasked', '-t', name, '--push', '--cache-to', 'type=inline')
    expect((await attempt(two, 'pull', '-q', name)).exitCode).toBe(0)
    expect((await build(two, 'unasked')).stderr).toMatch(/RUN cat[^\n]*\n#\d+ DONE/u)
  })
})
