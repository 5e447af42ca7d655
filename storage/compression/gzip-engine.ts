/** The part of gzip that takes time. Engines write different bytes for the same content, each always the same ones, and read the same. */
export interface GzipEngine {
  readonly name: 'isa-l' | 'zlib'
  /** Raw deflate of a block that ends on a byte and refers back to what came before it, so that blocks can be joined. On another thread. */
  deflateBlock(block: Uint8Array, previous: Uint8Array): Promise<Uint8Array>
  /** The content of all members, in order. Only members may come. @throws {MalformedCompression} */
  inflate(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
}
