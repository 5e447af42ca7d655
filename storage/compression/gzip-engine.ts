/** The part of gzip that takes time. Engines write different bytes for the same content, each always the same ones, and read the same. */
export interface GzipEngine {
  readonly name: 'isa-l' | 'zlib'
  /** What writeGzip of native/addon.ts is told. */
  readonly usualLevel: number
  /** The content of all members, in order. Only members may come. @throws {MalformedCompression} */
  inflate(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
}
