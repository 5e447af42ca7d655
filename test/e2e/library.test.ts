import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRegistryClient, parseReference, pushImage } from '../../registry-client/index.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { createImage, sourceOf } from '../support/images.ts'
import { recordingTask } from '../support/task.ts'

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'tsbuild-library-'))
const image = createImage({ layerBytes: [1000, 200_000] })
let registry: DockerRegistry

/** The example under this heading, for the test's registry. */
function example(heading: string): string {
  const readme = readFileSync(join(folder, 'node_modules/tsbuild/registry-client/README.md'), 'utf8')
  const [, code] = new RegExp(`## ${heading}\n\`\`\`ts\n([^]*?)\`\`\``, 'u').exec(readme) ?? []
  if (code === undefined) throw new Error(`the README has no example ${heading}`)
  return code.replaceAll('registry.example', registry.host)
}

function runExample(heading: string): { lines: number; stdout: string } {
  const code = example(heading)
  const path = join(folder, `${heading.toLowerCase()}.mjs`)
  writeFileSync(path, code)
  const { status, stdout, stderr } = spawnSync(process.execPath, [path], { encoding: 'utf8', cwd: folder, env: { PATH: process.env['PATH'], HOME: folder } })
  expect(status, stderr).toBe(0)
  return { lines: code.trim().split('\n').filter((line) => !line.startsWith('import') && line !== '').length, stdout }
}

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(folder, 'registry') })
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], { cwd: root, encoding: 'utf8' }).trim()
  mkdirSync(join(folder, 'node_modules/tsbuild'), { recursive: true })
  execFileSync('tar', ['-xf', join(folder, packed), '--strip-components=1', '-C', join(folder, 'node_modules/tsbuild')])
  const client = await openRegistryClient({ HOME: folder, CONTAINERS_REGISTRIES_CONF_DIR: join(folder, 'none') }, { userAgent: 'test' })
  await pushImage(client, { reference: parseReference(`${registry.host}/app:1`), manifest: image.manifest, source: sourceOf(image.blobs), maxConcurrentUploads: 2 }, recordingTask())
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

describe('the packed library, in ten lines,', () => {
  it('pulls', () => {
    const { lines, stdout } = runExample('Pull')
    expect(lines).toBeLessThanOrEqual(10)
    const received = stdout.trim().split('\n').map((line) => line.split(' '))
    for (const layer of image.layers) expect(received.filter(([digest]) => digest === layer.digest).reduce((sum, [, bytes]) => sum + Number(bytes), 0)).toBe(layer.size)
  })

  it('pushes', () => {
    const { lines, stdout } = runExample('Push')
    expect(lines).toBeLessThanOrEqual(10)
    expect(execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/artifact@${stdout.trim()}`], { encoding: 'utf8' })).toContain('application/example')
  })

  it('copies and lists', () => {
    const { lines, stdout } = runExample('Copy')
    expect(lines).toBeLessThanOrEqual(10)
    expect(stdout).toContain('mounted')
    const listed = runExample('List')
    expect(listed.lines).toBeLessThanOrEqual(10)
    expect(listed.stdout.trim().split('\n')).toEqual(expect.arrayContaining(['app:1', 'copy/app:1']))
  })
})

it('has types for all of it', () => {
  const path = join(folder, 'typed.mts')
  writeFileSync(path, `import type { BlobSource, RegistryClient } from 'tsbuild/registry-client'\nimport { build } from 'tsbuild/builder'\nimport * as storage from 'tsbuild/storage'\nimport * as runtime from 'tsbuild/runtime'\nconsole.log(build, storage, runtime)\n${example('Pull')}\nexport const typed: RegistryClient = client\nexport type Source = BlobSource\n`)
  // Only what a user has, too: types of other packages are not at hand.
  mkdirSync(join(folder, 'node_modules/@types'))
  symlinkSync(join(root, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { strict: true, module: 'nodenext', target: 'esnext', noEmit: true, types: ['node'] }, files: ['typed.mts'] }))
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript7/bin/tsc'), '-p', folder], { encoding: 'utf8' })
  expect(status, stdout).toBe(0)
})
