import { describe, expect, it } from 'vitest'
import { createTestClient } from '../../test/support/client.ts'
import { createImage, describeBytes, publish } from '../../test/support/images.ts'
import type { TestRegistry } from '../../test/support/registry.ts'
import { answer, reply, startRegistry } from '../../test/support/registry.ts'
import { failureOf, recordingTask } from '../../test/support/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { Reference } from '../reference.ts'
import { parseReference } from '../reference.ts'
import { referrersTag } from './referrers.ts'

const task = recordingTask()
const image = createImage()
const { digest } = image.manifest.descriptor
const appOf = (registry: TestRegistry): Reference => parseReference(`${registry.host}/team/app:1`)
const subjectOf = (registry: TestRegistry): Reference & { digest: typeof digest } => ({ ...appOf(registry), tag: undefined, digest })
const json = (value: unknown): string => JSON.stringify(value)

async function all(items: AsyncIterable<string>): Promise<string[]> {
  const list: string[] = []
  for await (const item of items) list.push(item)
  return list
}

function tagsOf(registry: TestRegistry): Promise<string[]> {
  return all(createTestClient().catalog.tags(appOf(registry), task))
}

/** Serves these pages one after the other, whatever is asked for. */
function pages(registry: TestRegistry, list: readonly { link?: string; body: unknown }[]): void {
  let page = 0
  registry.on({ path: /tags\/list|_catalog|referrers/u }, ({ response }) => {
    const { link, body } = list[page] ?? { body: {} }
    page += 1
    reply(response, { status: 200, headers: link === undefined ? {} : { link }, body: json(body) })
  })
}

describe('the tags of a repository', () => {
  it('come from all pages, whatever form the links have', async () => {
    await using registry = await startRegistry()
    pages(registry, [
      { link: '</v2/team/app/tags/list?last=b&n=2>; rel="next"', body: { name: 'team/app', tags: ['a', 'b'] } },
      { link: `<${registry.origin}/v2/team/app/tags/list?last=c>; rel=next`, body: { tags: ['c'] } },
      { link: '<?last=d>;title="x"; rel="next"', body: { tags: ['d'] } },
      { link: '</elsewhere?x>; rel="prev"', body: { tags: null } },
    ])
    expect(await tagsOf(registry)).toEqual(['a', 'b', 'c', 'd'])
    expect(registry.log.map(({ path }) => path)).toEqual(['/v2/team/app/tags/list?n=1000', '/v2/team/app/tags/list?last=b&n=2', '/v2/team/app/tags/list?last=c', '/v2/team/app/tags/list?last=d'])
  })

  it.each(['http://169.254.169.254/latest?x=1', 'http://127.0.0.1:1/v2/team/app/tags/list?x=1', '//evil.example/?x=1', 'file:///etc/passwd?x=1', '/admin/delete?x=1'])('are asked of the registry itself, although it links to %s', async (target) => {
    await using registry = await startRegistry()
    pages(registry, [{ link: `<${target}>; rel="next"`, body: { tags: ['a'] } }, { body: { tags: ['b'] } }])
    expect(await tagsOf(registry)).toEqual(['a', 'b'])
    expect(registry.log[1]?.path).toBe('/v2/team/app/tags/list?x=1')
  })

  it.each([
    ['pages that lead in a circle', [{ link: '<?n=1000>; rel="next"', body: { tags: ['a'] } }]],
    ['a link to nowhere', [{ link: '<>; rel="next"', body: { tags: ['a'] } }]],
    ['a list of something else', [{ body: { tags: [1] } }]],
    ['a text that is no tag', [{ body: { tags: ['\u001b[31m'] } }]],
    ['a document that is none', [{ body: [] }]],
  ])('are refused for %s', async (_, list) => {
    await using registry = await startRegistry()
    pages(registry, list)
    expect(await failureOf(tagsOf(registry))).toMatchObject({ code: 'REGISTRY_INVALID_ANSWER' })
  })

  it('end although the pages do not', async () => {
    await using registry = await startRegistry()
    let page = 0
    registry.on({ path: /tags/u }, ({ response }) => {
      page += 1
      reply(response, { status: 200, headers: { link: `<?last=${page}>; rel="next"` }, body: json({ tags: [] }) })
    })
    expect(await failureOf(tagsOf(registry))).toMatchObject({ code: 'REGISTRY_INVALID_ANSWER' })
    expect(page).toBe(10_000)
  })

  it('are those of a repository that is there', async () => {
    await using registry = await startRegistry()
    registry.on({ path: /tags/u }, answer(404, {}, json({ errors: [{ code: 'NAME_UNKNOWN' }] })))
    expect(await failureOf(tagsOf(registry))).toMatchObject({ code: 'REGISTRY_MANIFEST_UNKNOWN' })
  })
})

describe('the repositories of a registry', () => {
  it('are listed, and refused when they cannot be names', async () => {
    await using registry = await startRegistry()
    const client = createTestClient()
    pages(registry, [{ link: '</v2/_catalog?last=b>; rel="next"', body: { repositories: ['a', 'b/c'] } }, { body: { repositories: ['../x'] } }])
    const listed: string[] = []
    const failure = await failureOf((async () => { for await (const name of client.catalog.repositories(registry.host, task)) listed.push(name) })())
    expect(listed).toEqual(['a', 'b/c'])
    expect(failure).toMatchObject({ code: 'REGISTRY_INVALID_ANSWER' })
  })
})

describe('the referrers of a manifest', () => {
  const referrer = (artifactType: string): Descriptor => ({ ...describeBytes(Buffer.from(artifactType), mediaTypes.ociManifest), artifactType })
  const [sbom, signature] = [referrer('application/sbom'), referrer('application/signature')]

  it('come from the API, filtered by us where the registry does not filter', async () => {
    await using registry = await startRegistry()
    const { catalog } = createTestClient()
    registry.on({ path: /referrers/u }, answer(200, { 'content-type': mediaTypes.ociIndex }, json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [sbom, signature] })))
    expect(await catalog.referrers(subjectOf(registry), undefined, task)).toEqual([sbom, signature])
    expect(await catalog.referrers(subjectOf(registry), 'application/sbom', task)).toEqual([sbom])
    expect(registry.log.at(-1)?.path).toBe(`/v2/team/app/referrers/${digest}?artifactType=application%2Fsbom`)
  })

  it('come from the tag where there is no API, and are none where there is no tag', async () => {
    await using registry = await startRegistry()
    const { catalog } = createTestClient()
    expect(await catalog.referrers(subjectOf(registry), undefined, task)).toEqual([])
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [sbom] }
    registry.manifests.set(`team/app ${referrersTag(digest)}`, { bytes: Buffer.from(json(index)), mediaType: mediaTypes.ociIndex })
    expect(await catalog.referrers(subjectOf(registry), undefined, task)).toEqual([sbom])
  })

  it.each([
    ['a digest that could be a path', { manifests: [{ ...sbom, digest: 'sha256:../../x' }] }],
    ['no list', { manifests: {} }],
    ['another kind of document', { mediaType: mediaTypes.ociManifest, manifests: [] }],
    ['more than a document may have', { manifests: Array.from({ length: 50_000 }, () => sbom) }],
  ])('are refused for %s', async (_, document) => {
    await using registry = await startRegistry()
    registry.on({ path: /referrers/u }, answer(200, {}, json(document)))
    expect(await failureOf(createTestClient().catalog.referrers(subjectOf(registry), undefined, task))).toMatchObject({ code: 'REGISTRY_INVALID_ANSWER' })
  })

  it('are kept by who pushes and deletes where the registry does not', async () => {
    await using registry = await startRegistry()
    const client = createTestClient()
    publish(registry, image, { repository: 'team/app', tag: '1' })
    const pushed = await pushArtifact(registry)
    expect(await client.catalog.referrers(subjectOf(registry), undefined, task)).toEqual([{ ...pushed, artifactType: 'application/sbom', annotations: { a: 'b' } }])
    expect(await pushArtifact(registry)).toEqual(pushed)
    expect(await client.catalog.referrers(subjectOf(registry), undefined, task)).toHaveLength(1)
    await client.catalog.deleteManifest({ ...subjectOf(registry), digest: pushed.digest }, task)
    expect(await client.catalog.referrers(subjectOf(registry), undefined, task)).toEqual([])
  })

  it('are left to a registry that keeps them', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PUT', path: /manifests/u }, answer(201, { 'oci-subject': digest }))
    await pushArtifact(registry)
    expect(registry.requests('PUT', /manifests/u)).toHaveLength(1)
  })

  async function pushArtifact(registry: TestRegistry): Promise<Descriptor> {
    const artifact = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: 'application/sbom', config: { ...image.config, mediaType: mediaTypes.ociEmpty }, layers: [], subject: image.manifest.descriptor, annotations: { a: 'b' } }
    const bytes = Buffer.from(json(artifact))
    expect(parseManifestDocument(bytes).kind).toBe('manifest')
    return createTestClient().pushManifest({ ...subjectOf(registry), digest: describeBytes(bytes).digest }, { bytes, mediaType: mediaTypes.ociManifest }, task)
  }
})

describe('deleting', () => {
  it('takes a tag, a manifest or a blob away', async () => {
    await using registry = await startRegistry()
    publish(registry, image, { repository: 'team/app', tag: '1' })
    const { catalog } = createTestClient()
    await catalog.deleteManifest(appOf(registry), task)
    expect(await failureOf(catalog.deleteManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_MANIFEST_UNKNOWN' })
    await catalog.deleteManifest(subjectOf(registry), task)
    await catalog.deleteBlob(appOf(registry), image.config.digest, task)
    expect(await failureOf(catalog.deleteBlob(appOf(registry), image.config.digest, task))).toMatchObject({ code: 'REGISTRY_BLOB_UNKNOWN' })
    expect(registry.manifests.size).toBe(0)
    expect(registry.blobs.has(image.config.digest)).toBe(false)
  })

  it.each([[405, 'UNSUPPORTED'], [400, 'UNSUPPORTED'], [405, 'X']])('says so where it is turned off (%s %s)', async (status, code) => {
    await using registry = await startRegistry()
    registry.on({ method: 'DELETE', path: /./u }, answer(status, { 'content-type': 'application/json' }, json({ errors: [{ code }] })))
    expect(await failureOf(createTestClient().catalog.deleteManifest(appOf(registry), task))).toMatchObject({ code: 'REGISTRY_DELETION_REFUSED', host: registry.host })
  })
})

describe('what a registry says of its limits', () => {
  it('is remembered of the last answer, and what cannot be read is left out', async () => {
    await using registry = await startRegistry()
    publish(registry, image, { repository: 'team/app', tag: '1' })
    const client = createTestClient()
    registry.on({ path: /manifests/u, times: 1 }, async ({ response, proceed }) => {
      response.setHeader('ratelimit-limit', '100;w=21600')
      response.setHeader('ratelimit-remaining', '76;w=21600')
      await proceed()
    })
    await client.resolve(appOf(registry), task)
    expect(client.catalog.rateLimits()).toEqual([{ host: registry.host, limit: 100, remaining: 76, windowSeconds: 21_600 }])
    registry.on({ path: /manifests/u, times: 1 }, async ({ response, proceed }) => {
      response.setHeader('ratelimit-limit', 'many')
      response.setHeader('ratelimit-remaining', '-1')
      await proceed()
    })
    await client.resolve(appOf(registry), task)
    expect(client.catalog.rateLimits()).toMatchObject([{ remaining: 76 }])
  })
})
