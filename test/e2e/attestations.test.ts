import { generateKeyPairSync, verify } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../oci/digest.ts'
import { importBusybox, useCommand } from '../support/command.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { usePeerTools } from '../support/peer-tools.ts'

const peers = usePeerTools('skopeo')
const conf = join(peers.folder, 'registries.conf')
const command = useCommand('attestations', { env: { CONTAINERS_REGISTRIES_CONF: conf, TOKEN: 'the-very-secret-token' } })
let registry: DockerRegistry
let app = ''

const files = {
  Dockerfile: `FROM busybox AS unused
RUN false
FROM busybox
ARG GREETING=hello
RUN --mount=type=secret,id=token test -s /run/secrets/token && echo $GREETING >/greeting
COPY rootfs /
RUN mkdir /usr/lib/sysimage && ln -s rpm /usr/lib/sysimage/rpm
`,
  'rootfs/etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
  'rootfs/var/lib/dpkg/status': 'Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n',
  'rootfs/var/lib/dpkg/status.d/tzdata': 'Package: tzdata\nVersion: 2024a-0\n',
  'rootfs/var/lib/dpkg/status.d/tzdata.md5sums': 'abc  usr/share/a:b\n',
  'rootfs/lib/apk/db/installed': 'P:musl\nV:1.2.4-r2\nL:MIT\n\n',
  'rootfs/srv/node_modules/@scope/tool/package.json': '{"name":"@scope/tool","version":"3.2.1","license":"ISC"}',
  'rootfs/srv/node_modules/@scope/tool/lib/package.json': '{"type":"module"}',
  'rootfs/srv/node_modules/broken/package.json': '{"name":',
  'rootfs/usr/lib/python3/site-packages/Flask-3.0.0.dist-info/METADATA': 'Metadata-Version: 2.1\nName: Flask\nVersion: 3.0.0\n\ntext\n',
  'rootfs/var/lib/rpm/rpmdb.sqlite': 'not read',
  'rootfs/var/lib/rpm/Packages': 'of another time',
}

beforeAll(async () => {
  registry = await startDockerRegistry({ directory: join(command.folder, 'registry') })
  writeFileSync(conf, `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
  importBusybox(command)
  app = command.context('app', files)
})
afterAll(async () => { await registry[Symbol.asyncDispose]() })

interface Descriptor { readonly mediaType: string; readonly digest: string; readonly size: number; readonly platform?: object; readonly annotations?: Readonly<Record<string, string>> }
interface Index { readonly manifests: readonly Descriptor[]; readonly annotations?: object }
interface Manifest { readonly config: Descriptor; readonly layers: readonly Descriptor[]; readonly artifactType?: string; readonly subject?: Descriptor }
interface Statement { readonly _type: string; readonly subject: readonly object[]; readonly predicateType: string; readonly predicate: Readonly<Record<string, unknown>> }

/** In the background: the registry of this process's child answers while the command runs. */
async function build(...args: readonly string[]): Promise<string> {
  const child = command.start('build', '--progress', 'plain', '--network', 'none', '--secret', 'id=token,env=TOKEN', ...args, app)
  if (child.stderr === null) throw new TypeError('the process has no stderr')
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const stderr = await text(child.stderr)
  expect(await ended, stderr).toBe(0)
  return stderr
}

async function fetchStatement(repository: string, { digest }: Descriptor): Promise<Statement> {
  return await (await fetch(`http://${registry.host}/v2/${repository}/blobs/${digest}`)).json() as Statement
}

/** What skopeo reads, and that it is what its digest says. */
function inspect<Document>(reference: string): Document {
  const raw = peers.run('skopeo', 'inspect', '--tls-verify=false', '--raw', `docker://${registry.host}/${reference}`)
  if (reference.includes('@')) expect(sha256(raw)).toBe(reference.split('@')[1])
  return JSON.parse(raw) as Document
}

describe('attestations', () => {
  it('go to a registry as BuildKit lays them down, and as referrers', async () => {
    const name = `${registry.host}/attested:1`
    const stderr = await build('-t', name, '--push', '--sbom', '--provenance=mode=max,builder-id=https://ci.example/7', '--build-arg', 'GREETING=moin', '--build-arg', 'HTTP_PROXY=http://me:pass@proxy', '--annotation', 'index:a=b')
    for (const missing of ['/var/lib/rpm/rpmdb.sqlite: it is no database of rpm', '/var/lib/rpm/Packages: found but not read', '/srv/node_modules/broken/package.json', '/usr/lib/sysimage/rpm']) expect(stderr).toContain(missing)
    expect(stderr).not.toContain('md5sums')
    const index = inspect<Index>('attested:1')
    const [image, attestation] = index.manifests
    if (image === undefined || attestation === undefined) throw new TypeError('the index has too few manifests')
    expect(index).toMatchObject({ annotations: { a: 'b' }, manifests: [{ platform: { os: 'linux' } }, { platform: { os: 'unknown', architecture: 'unknown' }, annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': image.digest } }] })
    const manifest = inspect<Manifest>(`attested@${attestation.digest}`)
    expect(manifest.layers.map(({ mediaType, annotations }) => [mediaType, annotations])).toEqual(['https://spdx.dev/Document', 'https://slsa.dev/provenance/v1'].map((type) => ['application/vnd.in-toto+json', { 'in-toto.io/predicate-type': type }]))
    expect(manifest.subject?.digest).toBe(image.digest)
    const referrers = inspect<Index>(`attested:${image.digest.replace(':', '-')}`)
    expect(referrers.manifests.map(({ digest }) => digest)).toEqual([attestation.digest])
    // Who asks for the name of the index means also what is said of its images.
    expect(JSON.parse(command.must('referrers', '--json', name))).toMatchObject([{ digest: attestation.digest, subject: image.digest, platform: { os: 'linux' } }])

    const [sbom, provenance] = await Promise.all(manifest.layers.map((layer) => fetchStatement('attested', layer)))
    for (const statement of [sbom, provenance]) expect(statement).toMatchObject({ _type: 'https://in-toto.io/Statement/v1', subject: [{ name, digest: { sha256: image.digest.slice(7) } }] })
    const packages = sbom?.predicate['packages'] as { name: string; versionInfo: string; externalRefs?: { referenceLocator: string }[] }[]
    expect(packages.slice(1).map(({ externalRefs }) => externalRefs?.[0]?.referenceLocator)).toEqual([
      'pkg:apk/debian/musl@1.2.4-r2?distro=debian-12', 'pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12', 'pkg:deb/debian/tzdata@2024a-0?distro=debian-12', 'pkg:npm/%40scope/tool@3.2.1', 'pkg:pypi/flask@3.0.0',
    ])
    expect(sbom?.predicate['comment']).toContain('rpmdb.sqlite')
    expect(provenance?.predicate).toMatchObject({
      buildDefinition: {
        externalParameters: { configSource: { digest: { sha256: sha256(files.Dockerfile).slice(7) } }, buildArgs: { GREETING: 'moin' }, secrets: [{ id: 'token' }] },
        resolvedDependencies: [{ uri: expect.stringMatching(/^pkg:docker\/busybox@latest\?platform=linux%2F/u) as string, digest: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/u) as string } }],
      },
      runDetails: { builder: { id: 'https://ci.example/7' }, metadata: { tsbuild_steps: expect.arrayContaining([expect.objectContaining({ source: 'COPY rootfs /', outcome: 'executed' })]) as unknown } },
    })
    const said = JSON.stringify(provenance)
    for (const secret of ['the-very-secret-token', 'me:pass']) expect(said).not.toContain(secret)
  })

  it('lie in a layout that others and tsbuild read, and min says less', async () => {
    const layout = join(peers.folder, 'layout')
    mkdirSync(layout)
    const archive = join(command.folder, 'attested.tar')
    await build('-t', 'attested:2', '-o', `type=oci,dest=${layout},tar=false`, '-o', `type=oci,dest=${archive}`, '--attest', 'type=provenance', '--build-arg', 'GREETING=moin')
    expect(peers.run('skopeo', 'inspect', '--config', `oci:${peers.inside(layout)}:2`)).toContain('COPY rootfs /')
    expect(command.must('load', '-i', archive)).toContain('attested:2')
    const blob = (digest: string): unknown => JSON.parse(readFileSync(join(layout, 'blobs/sha256', digest.slice(7)), 'utf8'))
    const top = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as Index
    const index = blob(top.manifests[0]?.digest ?? '') as Index
    const manifest = blob(index.manifests[1]?.digest ?? '') as Manifest
    const [statement] = manifest.layers.map(({ digest }) => blob(digest) as Statement)
    expect(statement?.predicateType).toBe('https://slsa.dev/provenance/v1')
    expect(JSON.stringify(statement)).not.toMatch(/moin|token|tsbuild_steps|RUN/u)
  })

  it('can be pulled past, and copied whole', async () => {
    const name = `${registry.host}/attested:3`
    await build('-t', name, '-o', 'type=registry', '--sbom')
    const other = command.context('other', { Dockerfile: `FROM ${name}\nRUN cat /greeting\n` })
    const child = command.start('build', '--progress', 'plain', '--pull', '--network', 'none', other)
    if (child.stderr === null) throw new TypeError('the process has no stderr')
    expect(await text(child.stderr)).toContain('hello')
    peers.run('skopeo', 'copy', '--all', '--src-tls-verify=false', '--dest-tls-verify=false', `docker://${name}`, `docker://${registry.host}/copied:3`)
    expect(inspect<Index>('copied:3')).toEqual(inspect<Index>('attested:3'))
  })

  it('are signed where cosign looks for them, beside what others signed', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = join(command.folder, 'key.pem')
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const name = `${registry.host}/signed:1`
    // The same image and statement of its packages each time; the index differs by when it was built.
    for (let turn = 0; turn < 2; turn += 1) await build('-t', name, '--push', '--sbom', '--provenance', '--attestation-key', key, '--source-date-epoch', '5')
    const top = JSON.parse(peers.run('skopeo', 'inspect', '--tls-verify=false', `docker://${name}`)) as { Digest: string }
    const image = inspect<Index>('signed:1').manifests[0]?.digest ?? ''
    const counts: number[] = []
    for (const subject of [image, top.Digest]) {
      const { layers } = inspect<Manifest>(`signed:${subject.replace(':', '-')}.att`)
      counts.push(layers.length)
      for (const layer of layers) {
        expect(layer).toMatchObject({ mediaType: 'application/vnd.dsse.envelope.v1+json', annotations: { 'dev.cosignproject.cosign/signature': '' } })
        const { payload, payloadType, signatures } = await (await fetch(`http://${registry.host}/v2/signed/blobs/${layer.digest}`)).json() as { payload: string; payloadType: string; signatures: { sig: string }[] }
        const body = Buffer.from(payload, 'base64')
        const signed = Buffer.concat([Buffer.from(`DSSEv1 28 ${payloadType} ${body.length} `), body])
        expect(signatures.map(({ sig }) => verify('sha256', signed, publicKey, Buffer.from(sig, 'base64')))).toEqual([true])
        const statement = JSON.parse(body.toString()) as { predicateType: string; subject: { digest: { sha256: string } }[] }
        expect(statement.predicateType).toBe(layer.annotations?.['predicateType'])
        expect(statement.subject.map(({ digest }) => `sha256:${digest.sha256}`)).toContain(subject)
      }
    }
    expect(counts).toEqual([4, 2])
  })

  it('are refused before the build where they have no place', () => {
    const [key = '', otherKey = ''] = ['P-256', 'P-384'].map((namedCurve) => {
      const path = join(command.folder, `${namedCurve}.pem`)
      writeFileSync(path, generateKeyPairSync('ec', { namedCurve }).privateKey.export({ type: 'pkcs8', format: 'pem' }))
      return path
    })
    for (const [args, why] of [
      [['--sbom'], 'give --push'], [['--provenance', '-o', `type=docker,dest=${command.folder}/x.tar`], 'give --push'],
      [['--sbom', '-o', `type=oci,dest=${command.folder}/x.tar,oci-mediatypes=false`], 'Docker media types'], [['--annotation', 'index:a=b'], 'annotations of an index need an index to lie in'],
      [['--sbom', '--attestation-key', '/missing', '-o', 'type=registry'], 'cannot be read'], [['--attestation-key', key, '-t', 'x:1', '--push'], 'give --sbom or --provenance'],
      [['--sbom', '--attestation-key', key, '-o', `type=oci,dest=${command.folder}/x.tar`], 'signed attestations lie in a registry'], [['--sbom', '--attestation-key', otherKey, '--push'], 'secp384r1'],
    ] as const) expect(command.run('build', ...args, app), args.join(' ')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(why) as string })
    for (const args of [['--sbom=generator=scanner'], ['--provenance=mode=all'], ['--provenance=version=v0.2'], ['--attest', 'sbom'], ['--sbom', '--attest', 'type=sbom'], ['--provenance=builder-id=me']]) {
      expect(command.run('build', ...args, app).exitCode, args.join(' ')).toBe(2)
    }
  })
})
