/**
 * node bench/hollow-registry.ts DIGEST SIZE
 * A registry on a free port, which it prints. It serves what it was sent, except that of the blob DIGEST, which is SIZE zeros, it only counts
 * the bytes.
 */
import { createHash, randomUUID } from 'node:crypto'
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
interface Session { receivedBytes: number; readonly kept: Buffer[] }

/** What uploads have brought. */
const sessions = new Map<string, Session>()

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
  const session = randomUUID()
  sessions.set(session, { receivedBytes: 0, kept: [] })
  response.writeHead(202, { location: `/v2/${repository}/blobs/uploads/${session}` }).end()
}

async function receive({ request, response, repository, kind, name, url }: Exchange): Promise<void> {
  const session = sessions.get(kind === 'manifests' ? '' : name) ?? { receivedBytes: 0, kept: [] }
  await take(request, session)
  if (request.method === 'PATCH') {
    response.writeHead(202, { location: url.pathname, range: `0-${session.receivedBytes - 1}` }).end()
    return
  }
  const body = Buffer.concat(session.kept)
  const digest = url.searchParams.get('digest') ?? `sha256:${createHash('sha256').update(body).digest('hex')}`
  if (digest === hugeDigest) holders.add(repository)
  else for (const alias of [name, digest]) contents.set(`${repository} ${alias}`, body)
  sessions.delete(name)
  response.writeHead(201, { 'docker-content-digest': digest }).end()
}

/** The bytes of a small body; of a large one not all. */
async function take(request: IncomingMessage, session: Session): Promise<void> {
  for await (const chunk of request as AsyncIterable<Buffer>) {
    session.receivedBytes += chunk.byteLength
    if (session.receivedBytes < maxKeptBytes) session.kept.push(chunk)
  }
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
