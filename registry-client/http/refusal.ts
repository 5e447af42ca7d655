import { MalformedDocument } from '../../oci/errors.ts'
import { isObject, parseDocument } from '../../oci/json.ts'
import { RegistryUnreachable } from '../errors.ts'
import { maxErrorBytes } from './limits.ts'
import type { HttpAnswer } from './message.ts'
import { parseRetryAfter } from './retry.ts'

export interface Refusal {
  /** The specification's error codes. */
  readonly codes: readonly string[]
  /** The status with the codes and the registry's first explanation. */
  readonly text: string
  readonly retryAfterMs: number | undefined
}

const maxTextLength = 300
const maxReadingMs = 5_000

/**
 * What an answer says that does not do what was asked. Reads the body; control characters and the given secrets, which a
 * registry may send back to us, are taken out.
 */
export async function readRefusal(answer: HttpAnswer, secrets: readonly string[]): Promise<Refusal> {
  const { codes, explanation } = parseErrors(await readBeginning(answer))
  const said = [codes.join(', '), cleanText(explanation, secrets)].filter((part) => part !== '').join(': ')
  return {
    codes,
    text: said === '' ? String(answer.status) : `${answer.status} (${said})`,
    retryAfterMs: parseRetryAfter(answer.header('retry-after'), Date.now()),
  }
}

/** A broken or endless error page still tells its status. */
async function readBeginning(answer: HttpAnswer): Promise<Buffer> {
  const endsAtMs = performance.now() + maxReadingMs
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  try {
    for await (const chunk of answer.body) {
      sizeBytes += chunk.byteLength
      if (sizeBytes > maxErrorBytes || performance.now() > endsAtMs) break
      chunks.push(chunk)
    }
  } catch (error) {
    if (!(error instanceof RegistryUnreachable)) throw error
  }
  return Buffer.concat(chunks)
}

/** @see distribution-spec "Error Codes" */
function parseErrors(bytes: Buffer): { codes: string[]; explanation: string } {
  try {
    const { errors } = parseDocument(bytes, 'error of a registry')
    const entries = Array.isArray(errors) ? errors.slice(0, 10).filter(isObject) : []
    return {
      codes: entries.map(({ code }) => code).filter((code) => typeof code === 'string').filter((code) => /^[A-Z_]{1,60}$/u.test(code)),
      explanation: entries.map(({ message }) => message).find((message) => typeof message === 'string') ?? '',
    }
  } catch (error) {
    if (error instanceof MalformedDocument) return { codes: [], explanation: '' }
    throw error
  }
}

/** One line of printable text. */
function cleanText(text: string, secrets: readonly string[]): string {
  let clean = text
  for (const secret of secrets) if (secret !== '') clean = clean.replaceAll(secret, '[secret]')
  return clean.replaceAll(/[\p{C}\s]+/gu, ' ').trim().slice(0, maxTextLength)
}
