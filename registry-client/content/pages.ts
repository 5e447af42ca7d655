import type { Task } from '../../core/task.ts'
import type { JsonObject } from '../../oci/json.ts'
import { maxDocumentBytes, parseDocument } from '../../oci/json.ts'
import { MalformedDocument } from '../../oci/errors.ts'
import { InvalidAnswer } from '../errors.ts'
import { readDocument } from '../http/document.ts'
import type { Reply } from '../http/endpoint.ts'
import type { Connections } from '../transfer/connections.ts'
import type { Place } from '../transfer/places.ts'

export interface PagedList {
  /** For messages: `list tags of "…"`. */
  readonly what: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly scopes: readonly string[]
  /** Besides 200. */
  readonly expect?: readonly number[]
}

export interface Page {
  readonly reply: Reply
  /** undefined for an answer that is not 200. */
  readonly document: JsonObject | undefined
}

/** More than any registry has, at the thousand entries a page that we ask for. */
const maxPages = 10_000

/**
 * The pages of a list. Of a page's link to the next only the query is used: where it leads is the registry's own list
 * again and nothing else. A link that was followed before ends the list with an error.
 * @throws {InvalidAnswer}
 * @see distribution-spec "Listing Tags", RFC 8288
 */
export async function* readPages(connections: Connections, { place, list }: { place: Place; list: PagedList }, task: Task): AsyncGenerator<Page, void, undefined> {
  const seen = new Set<string>()
  let search = `?${new URLSearchParams(list.query).toString()}`
  for (;;) {
    if (seen.has(search)) throw new InvalidAnswer(list.what, place.host, 'sent a list whose pages lead in a circle')
    if (seen.size === maxPages) throw new InvalidAnswer(list.what, place.host, `sent more than ${maxPages} pages`)
    seen.add(search)
    const reply = await connections.endpoint(place).send({
      what: list.what, method: 'GET', target: `${list.path}${search}`, scopes: list.scopes, expect: [200, ...list.expect ?? []], headers: { accept: 'application/json, application/vnd.oci.image.index.v1+json' },
    }, task)
    yield { reply, document: await readPage(reply, list.what, connections) }
    const next = nextSearch(reply, { list, place })
    if (next === undefined) return
    search = next
  }
}

async function readPage(reply: Reply, what: string, { limits }: Connections): Promise<JsonObject | undefined> {
  if (reply.status !== 200) {
    await reply.discard()
    return undefined
  }
  const bytes = await readDocument(reply, { what, host: reply.host, maxBytes: maxDocumentBytes, withinMs: limits.documentMs })
  try {
    return parseDocument(bytes, 'list')
  } catch (error) {
    if (error instanceof MalformedDocument) throw new InvalidAnswer(what, reply.host, `sent a list that cannot be used: ${error.message}`)
    throw error
  }
}

function nextSearch(reply: Reply, { list, place }: { list: PagedList; place: Place }): string | undefined {
  const header = reply.header('link')
  if (header === undefined) return undefined
  const target = header.split(',').map((link) => /^\s*<([^<>]*)>(.*)$/su.exec(link)).find((match) => /;\s*rel="?next"?/iu.test(match?.[2] ?? ''))?.[1]
  if (target === undefined) return undefined
  const url = URL.parse(target, new URL(list.path, reply.url.href).href)
  if (url === null || url.search === '') throw new InvalidAnswer(list.what, place.host, 'sent a link to the next page that leads nowhere')
  return url.search
}
