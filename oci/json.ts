import { MalformedDocument } from './errors.ts'

/** Documents are read whole, so they are capped: 4 MiB is what registries accept for a manifest. */
export const maxDocumentBytes = 4 * 1024 * 1024
const maxDepth = 64

export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export interface JsonObject { readonly [key: string]: Json | undefined }

/**
 * Reads one JSON object from bytes nobody vouches for. Stricter than `JSON.parse` where parsers of other tools could
 * read something else than we do: UTF-8 only, no byte order mark, no key twice in one object (also not in another
 * letter case at the top level, which Go's reader would accept), at most 64 levels, at most 4 MiB.
 * @throws {MalformedDocument}
 */
export function parseDocument(bytes: Uint8Array, kind: string): JsonObject {
  if (bytes.byteLength > maxDocumentBytes) throw new MalformedDocument(kind, `it has ${bytes.byteLength} bytes, more than ${maxDocumentBytes}`)
  const text = decodeUtf8(bytes, kind)
  scan(text, kind)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new MalformedDocument(kind, 'it is not JSON', { cause: error })
  }
  if (!isObject(value)) throw new MalformedDocument(kind, 'it is not a JSON object')
  return value
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function decodeUtf8(bytes: Uint8Array, kind: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new MalformedDocument(kind, 'it is not UTF-8', { cause: error })
  }
}

/** One pass over the text with a stack of the keys seen in each open object; JSON.parse judges the rest of the syntax. */
function scan(text: string, kind: string): void {
  const open: (Set<string> | undefined)[] = []
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at]
    if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : undefined)
      if (open.length > maxDepth) throw new MalformedDocument(kind, `it is nested deeper than ${maxDepth} levels`)
    } else if (char === '}' || char === ']') {
      open.pop()
    } else if (char === '"') {
      const end = endOfString(text, at)
      const keys = open.at(-1)
      if (keys !== undefined && isFollowedByColon(text, end)) addKey(keys, text.slice(at, end), { kind, isTop: open.length === 1 })
      at = end - 1
    }
  }
}

/** The index behind the closing quote, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '"') return at + 1
  }
  return text.length
}

function isFollowedByColon(text: string, from: number): boolean {
  let at = from
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1
  return text[at] === ':'
}

function addKey(keys: Set<string>, quoted: string, where: { kind: string; isTop: boolean }): void {
  const key = unquote(quoted)
  if (key === '__proto__') throw new MalformedDocument(where.kind, 'it has the key "__proto__"')
  const identity = where.isTop ? key.toLowerCase() : key
  if (keys.has(identity)) throw new MalformedDocument(where.kind, `it has the key ${quoted.slice(0, 80)} twice`)
  keys.add(identity)
}

function unquote(quoted: string): string {
  try {
    return String(JSON.parse(quoted))
  } catch {
    return quoted
  }
}
