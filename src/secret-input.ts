import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Secret } from '../registry-client/index.ts'
import { UsageError } from './errors.ts'

const maxSecretBytes = 64 * 1024

/** All of standard input as one secret, without the line end that `echo` adds. @throws {UsageError} */
export async function readSecret(): Promise<Secret> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer)
    sizeBytes += (chunk as Buffer).byteLength
    if (sizeBytes > maxSecretBytes) throw new UsageError(`standard input has more than ${maxSecretBytes} bytes; is that a password?`)
  }
  const text = Buffer.concat(chunks).toString().replace(/\r?\n$/u, '')
  if (text === '') throw new UsageError('standard input is empty, and --password-stdin takes the password from there')
  return new Secret(text)
}

/** Asks at the terminal; what is typed shows only where that is wanted. */
export async function ask(question: string, { isHidden, signal }: { readonly isHidden: boolean; readonly signal: AbortSignal }): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => { done() } })
  process.stderr.write(question)
  const terminal = createInterface({ input: process.stdin, output: isHidden ? silent : process.stderr, terminal: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      terminal.once('line', resolve)
      // In this mode the terminal hands us the key instead of sending the signal.
      terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
      terminal.once('close', () => { reject(new UsageError('nothing was typed')) })
      signal.addEventListener('abort', () => { reject(signal.reason) }, { once: true })
    })
  } finally {
    terminal.close()
    if (isHidden) process.stderr.write('\n')
  }
}
