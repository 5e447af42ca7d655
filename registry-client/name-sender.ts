import { MalformedDocument, UnsupportedMediaType } from '../oci/errors.ts'

/** Runs a check of a document; what is wrong with it then says also which registry sent it, and as what. */
export function nameSender<T>({ host, name }: { readonly host: string; readonly name: string }, check: () => T): T {
  try {
    return check()
  } catch (error) {
    const sender = `${JSON.stringify(host)} sent this for ${JSON.stringify(name)}`
    if (error instanceof MalformedDocument) throw new MalformedDocument(error.kind, `${error.problem}; ${sender}`, { cause: error.cause })
    if (error instanceof UnsupportedMediaType) throw new UnsupportedMediaType(error.mediaType, `${error.advice}; ${sender}`)
    throw error
  }
}
