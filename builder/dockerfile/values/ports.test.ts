import { describe, expect, it } from 'vitest'
import { DockerfileError } from '../errors.ts'
import { parsePorts } from './ports.ts'

const source = { name: 'Dockerfile', text: '' }
const range = { startLine: 1, startColumn: 0, endLine: 1, endColumn: 1 }
const parse = (...texts: readonly string[]): string[] => parsePorts(texts.map((text) => ({ text, range })), source)

describe('parsePorts', () => {
  it('gives ranges port by port, with tcp where no protocol is written, in lower case and once each', () => {
    expect(parse('80', '8000-8002/UDP', '100/sctp', '53/', '0080', '80/tcp', '8001-8003/udp')).toEqual([
      '80/tcp', '8000/udp', '8001/udp', '8002/udp', '100/sctp', '53/tcp', '8003/udp',
    ])
  })

  it('takes the part behind the last colon, as Docker does', () => {
    expect(parse('1.2.3.4:90:91/tcp', '70:71', '10-12:90', '[::1]:80:92', '::1:80:93')).toEqual(['91/tcp', '71/tcp', '90/tcp', '92/tcp', '93/tcp'])
  })

  it.each(['abc', '80/foo', '70000', '90-80', '-1', '+80', '80-', '1-2-3', '/tcp', '', '1.2.3:80:90', 'a:90', '80-90:1-3', '["80"]', '99999999999999999999'])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ rule: 'port' }))
  })

  it('takes all ports there are, and gives up on a file that repeats them without end', () => {
    expect(parse('0-65535', '0-65535/udp')).toHaveLength(131_072)
    expect(() => parse(...Array.from({ length: 100_000 }, (_, index) => `${index % 1000}-65535`))).toThrow(expect.objectContaining({ rule: 'limit' }))
  })

  it('suggests a protocol', () => {
    try {
      parse('53/upd')
      expect.unreachable()
    } catch (error) {
      expect(error instanceof DockerfileError && error.suggestion).toBe('udp')
    }
  })
})
