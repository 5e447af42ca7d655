import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import type { Platform } from '../../oci/platform.ts'
import { DockerfileError } from '../dockerfile/errors.ts'
import type { Dockerfile } from '../dockerfile/instruction.ts'
import { parseDockerfile } from '../dockerfile/parse.ts'
import { lower } from './lower.ts'
import type { BuildPlan } from './plan.ts'

const folder = join(import.meta.dirname, '../../testdata/dockerfile')
const platform = { os: 'linux', architecture: 'amd64' }
/** What every base image is: one layer by which it can be told, and a little of everything a stage inherits. */
const base = (name: string, { architecture }: Platform): ImageConfig => ({
  ...platform, config: { Env: ['PATH=/bin'], Cmd: ['sh'], Labels: { of: 'base' } }, rootfs: { type: 'layers', diff_ids: [digestAsDiffId(sha256(`${name} ${architecture}`))] }, history: [],
})

const cases = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => ({ name, dockerfile: read(name) })).filter((each): each is { name: string; dockerfile: Dockerfile } => each.dockerfile !== undefined)
/** Taken before the tests run: a case without its expected file fails once, and so is looked at. */
const expected = new Map(cases.map(({ name }) => [name, ['plan.txt', 'plan-error.txt'].filter((file) => existsSync(join(folder, name, file)))]))

/** undefined for a file that cannot be read, which is the parser's case. */
function read(name: string): Dockerfile | undefined {
  try {
    return parseDockerfile({ name: 'Dockerfile', text: readFileSync(join(folder, name, 'Dockerfile'), 'utf8') })
  } catch (error) {
    if (error instanceof DockerfileError) return undefined
    throw error
  }
}

async function plan(dockerfile: Dockerfile): Promise<{ readonly file: string; readonly text: string }> {
  try {
    const options = { dockerfile, target: undefined, buildArgs: new Map([['given', 'by the build']]), platform: { os: 'linux', architecture: 'arm64' }, buildPlatform: platform, contexts: new Map() }
    const planned = await lower(options, { resolve: (name, wanted) => Promise.resolve({ name: `${name} for ${wanted.architecture}`, config: base(name, wanted), layers: [] }) })
    return { file: 'plan.txt', text: format(planned) }
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error
    return { file: 'plan-error.txt', text: `${error.rule}: ${error.message}\n` }
  }
}

/** A node a line, called by its place instead of its digest; then the image. */
function format({ nodes, labels, targets: [{ config, history, rootfs, author }] }: BuildPlan): string {
  const names = new Map([...nodes.keys()].map((id, index) => [id as string, `#${index + 1}`]))
  const compact = (value: unknown): string => JSON.stringify(value, (key, inner: unknown) => key === 'diffIds' ? undefined : typeof inner === 'string' ? names.get(inner) ?? inner : inner)
  const lines = [
    ...[...nodes].map(([id, node]) => `${names.get(id) ?? ''} ${labels.get(id)?.stage ?? '-'} ${labels.get(id)?.step ?? '-'}/${labels.get(id)?.steps ?? '-'} ${compact(node)}`),
    `rootfs ${compact(rootfs ?? null)}${author === undefined ? '' : ` author ${author}`}`,
    `config ${compact(config)}`,
    ...history.map(({ createdBy, node }) => `${node === undefined ? ' ' : names.get(node) ?? ''} ${createdBy}`),
  ]
  return `${lines.join('\n')}\n`
}

describe('the plan of each case of testdata/dockerfile', () => {
  it.each(cases)('$name', async ({ name, dockerfile }) => {
    const { file, text } = await plan(dockerfile)
    await expect(text).toMatchFileSnapshot(join(folder, name, file))
  })

  it('is expected in one file', async () => {
    const wrong: string[] = []
    for (const { name, dockerfile } of cases) if (expected.get(name)?.join() !== (await plan(dockerfile)).file) wrong.push(name)
    expect(wrong).toEqual([])
  })
})
