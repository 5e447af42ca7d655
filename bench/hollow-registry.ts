/**
 * node bench/hollow-registry.ts DIGEST SIZE
 * A registry on a free port, which it prints. It serves what it was sent, except that of the blob DIGEST, which is SIZE zeros, it only counts
 * the bytes.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'

const [hugeDigest = '', sizeText = ''] = process.argv.slice(2)
const size = Number(sizeText)
const zeros = Buffer.alloc(1024 * 1024)
/** Of what is larger only the size is kept. */
const maxKeptBytes = 64 * 1024 * 1024
const manifestType = 'application/vnd.oci.image.manifest.v1+json'

/** By repository and digest or tag. */
const contents = new Map<string, Buffer>()
/** Repositories that were sent the huge blob. */
const holders = new Set<string>()
/** What the sessions of uploads have received. */
const sessions = new Map<string, number>()

interface Exchange { readonly request: IncomingMessage; readonly response: ServerResponse; readonly repository: string; readonly kind: string; readonly name: string; readonly url: URL }

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://registry')
  const [, repository = '', kind = '', name = ''] = /^\/v2\/(.+)\/(blobs\/uploads|blobs|manifests)\/(.*)$/u.exec(url.pathname) ?? []
  const exchange = { request, response, repository, kind, name, url }
  const work = request.method === 'POST' ? begin(exchange) : request.method === 'PATCH' || request.method === 'PUT' ? receive(exchange) : give(exchange)
  work.catch((error: unknown) => { response.destroy(error instanceof Error ? error : undefined) })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') console.log(address.port)
})

async function begin({ request, response, repository }: Exchange): Promise<void> {
  request.resume()
  await once(request, 'end')
  const session = String(sessions.size)
  sessions.set(session, 0)
  response.writeHead(202, { location: `/v2/${repository}/blobs/uploads/${session}` }).end()
}

async function receive({ request, response, repository, kind, name, url }: Exchange): Promise<void> {
  const body = await take(request, kind === 'manifests' ? undefined : name)
  if (request.method === 'PATCH') {
    response.writeHead(202, { location: url.pathname, range: `0-${(sessions.get(name) ?? 0) - 1}` }).end()
    return
  }
  const digest = url.searchParams.get('digest') ?? `sha256:${createHash('sha256').update(body).digest('hex')}`
  if (digest === hugeDigest) holders.add(repository)
  else for (const alias of [name, digest]) contents.set(`${repository} ${alias}`, body)
  response.writeHead(201, { 'docker-content-digest': digest }).end()
}

/** The bytes of a small body; of a large one not all. */
async function take(request: IncomingMessage, session: string | undefined): Promise<Buffer> {
  const kept: Buffer[] = []
  let total = session === undefined ? 0 : sessions.get(session) ?? 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    total += chunk.byteLength
    if (total < maxKeptBytes) kept.push(chunk)
  }
  if (session !== undefined) sessions.set(session, total)
  return Buffer.concat(kept)
}

async function give({ request, response, repository, kind, name, url }: Exchange): Promise<void> {
  const bytes = contents.get(`${repository} ${name}`)
  const isHuge = name === hugeDigest && holders.has(repository)
  if (bytes === undefined && !isHuge) {
    response.writeHead(url.pathname === '/v2/' ? 200 : 404).end()
    return
  }
  response.writeHead(200, { 'content-length': bytes?.byteLength ?? size, 'content-type': kind === 'manifests' ? manifestType : 'application/octet-stream' })
  if (request.method === 'GET' && bytes === undefined) await pour(response)
  response.end(request.method === 'GET' ? bytes : undefined)
}

async function pour(response: ServerResponse): Promise<void> {
  for (let left = size; left > 0; left -= zeros.byteLength) {
    if (!response.write(zeros.subarray(0, left))) await once(response, 'drain')
  }
}
