/**
 * What cosign makes of our attestations. It is in Debian from release 13 on; TSBUILD_COSIGN says how to run it, in words, where it
 * is not on the PATH, and TSBUILD_PEERS_SHARE=HOST:INSIDE names a folder that both see.
 */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'

const [host = tmpdir(), inside = host] = (process.env['TSBUILD_PEERS_SHARE'] ?? '').split(':').filter((part) => part !== '')
const folder = mkdtempSync(join(host, 'tsbuild-test-cosign-'))
const conf = join(folder, 'registries.conf')
const command = useCommand('cosign', { env: { CONTAINERS_REGISTRIES_CONF: conf } })
let registry: DockerRegistry

function cosign(...args: readonly string[]): string {
  const [program = '', ...words] = (process.env['TSBUILD_COSIGN'] ?? 'cosign').split(' ')
  return execFileSync(program, [...words, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 })
}

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(command.folder, 'registry') })
  writeFileSync(conf, `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
  importBusybox(command)
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

describe('cosign', () => {
  it.each([['ec', generateKeyPairSync('ec', { namedCurve: 'P-256' })], ['ed25519', generateKeyPairSync('ed25519')], ['rsa', generateKeyPairSync('rsa', { modulusLength: 2048 })]] as const)('finds, downloads and verifies what a key of type %s signed', async (type, { privateKey, publicKey }) => {
    const name = `${registry.host}/signed-${type}:1`
    const [key, pub] = [join(folder, `${type}.pem`), join(folder, `${type}.pub`)]
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    writeFileSync(pub, publicKey.export({ type: 'spki', format: 'pem' }))
    const child = command.start('build', '-q', '--network', 'none', '--sbom', '--provenance=mode=max', '--attestation-key', key, '-t', name, '--push', command.context(type, { Dockerfile: 'FROM busybox\nRUN true\n' }))
    if (child.stderr === null || child.stdout === null) throw new TypeError('the process has no output')
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    const [stderr] = await Promise.all([text(child.stderr), text(child.stdout)])
    expect(await ended, stderr).toBe(0)
    const plain = '--allow-http-registry'
    expect(cosign('tree', plain, name)).toContain('.att')
    expect(cosign('download', 'attestation', plain, name).trim().split('\n')).toHaveLength(2)
    const verify = (...kind: readonly string[]): string => cosign('verify-attestation', plain, '--insecure-ignore-tlog', '--key', `${inside}${pub.slice(host.length)}`, ...kind, name)
    const predicates = ['spdxjson', 'slsaprovenance1'].map((kind) => JSON.parse(Buffer.from((JSON.parse(verify('--type', kind)) as { payload: string }).payload, 'base64').toString()) as { predicateType: string })
    expect(predicates.map(({ predicateType }) => predicateType)).toEqual(['https://spdx.dev/Document', 'https://slsa.dev/provenance/v1'])
    writeFileSync(pub, generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }))
    expect(() => verify('--type', 'spdxjson')).toThrow(/no matching attestations/u)
  })
})
