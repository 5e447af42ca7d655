export type Stanza = ReadonlyMap<string, string>

/**
 * Paragraphs of `Name: value` with continuation lines that begin with a blank; names in lower case, the first of each counts.
 * @see deb822(5)
 */
export function parseStanzas(text: string): Stanza[] {
  return text.replaceAll('\r\n', '\n').split(/\n[ \t]*\n/u).map(parseStanza).filter(({ size }) => size > 0)
}

/** The headers of a message, whose body begins at the first empty line. @see Python's core metadata */
export function parseHeaders(text: string): Stanza {
  const normal = text.replaceAll('\r\n', '\n')
  const end = normal.indexOf('\n\n')
  return parseStanza(end === -1 ? normal : normal.slice(0, end))
}

function parseStanza(text: string): Stanza {
  const fields = new Map<string, string>()
  let current: string | undefined
  for (const line of text.split('\n')) {
    if (/^[ \t]/u.test(line)) {
      if (current !== undefined) fields.set(current, `${fields.get(current) ?? ''}\n${line.trim()}`)
      continue
    }
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).toLowerCase()
    current = name === '' || fields.has(name) ? undefined : name
    if (current !== undefined) fields.set(current, line.slice(colon + 1).trim())
  }
  return fields
}
