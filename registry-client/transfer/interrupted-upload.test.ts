import { describe, expect, it } from 'vitest'
import type { Fault, TestRegistry } from '../../test/support/registry.ts'
import { answer, reply, startRegistry } from '../../test/support/registry.ts'
import { failureOf } from '../../test/support/task.ts'
import { blob, bytes, hasArrived, pushBlob } from '../../test/support/transferred-blob.ts'

describe('an upload that is interrupted', () => {
  /** Takes `count` bytes of the body and breaks the connection. */
  const breakAfter = (registry: TestRegistry, count: number): Fault => async ({ request, url }) => {
    const parts = registry.uploads.get(url.pathname.split('/').at(-1) ?? '')
    let taken = 0
    for await (const chunk of request) {
      const part = (chunk as Buffer).subarray(0, count - taken)
      taken += part.byteLength
      parts?.push(part)
      if (taken >= count) break
    }
    request.socket.destroy()
  }

  it.each([0, 1, 2, 1_500_000, 2_999_999])('that breaks after %d bytes goes on where the registry stands', async (count) => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u, times: 1 }, breakAfter(registry, count))
    await pushBlob(registry)
    expect(hasArrived(registry)).toBe(true)
    // A range of 0-0 says one byte or none: then it is safer to begin anew.
    expect(registry.requests('POST', /uploads/u)).toHaveLength(count > 1 ? 1 : 2)
    expect(registry.log.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)).toBe(blob.size - (count > 1 ? count : 0))
  })

  it('whose registry stands behind what was sent sends the rest', async () => {
    await using registry = await startRegistry()
    let isFirst = true
    registry.on({ method: 'PATCH', path: /uploads/u }, async (exchange) => {
      if (!isFirst) return exchange.proceed()
      isFirst = false
      const parts = registry.uploads.get(exchange.url.pathname.split('/').at(-1) ?? '')
      const all: Buffer[] = []
      for await (const chunk of exchange.request) all.push(chunk as Buffer)
      parts?.push(Buffer.concat(all).subarray(0, 1_000_000))
      reply(exchange.response, { status: 202, headers: { location: exchange.request.url ?? '', range: '0-999999' } })
    })
    await pushBlob(registry)
    expect(hasArrived(registry)).toBe(true)
    expect(registry.requests('PATCH', /./u)[1]?.headers['content-range']).toBe('1000000-2999999')
  })

  it.each([['PATCH', 404], ['PUT', 404], ['PATCH', 416], ['PATCH', 503], ['PUT', 502]])('whose session is lost at %s with %d begins anew', async (method, status) => {
    await using registry = await startRegistry()
    registry.on({ method, path: /uploads/u, times: 1 }, async (exchange) => {
      registry.uploads.clear()
      await answer(status)(exchange)
    })
    await pushBlob(registry)
    expect(hasArrived(registry)).toBe(true)
    expect(registry.requests('POST', /uploads/u)).toHaveLength(2)
  })

  it('whose registry counted more than it got begins anew', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PATCH', path: /uploads/u, times: 1 }, breakAfter(registry, 1_500_000))
    registry.on({ method: 'GET', path: /uploads/u, times: 1 }, answer(204, { range: '0-1999999' }))
    await pushBlob(registry)
    expect(hasArrived(registry)).toBe(true)
    expect(registry.requests('POST', /uploads/u)).toHaveLength(2)
  })

  it.each(['lost', 'miscounted'])('that gets somewhere, breaks and is %s, again and again, is given up', async (how) => {
    await using registry = await startRegistry()
    let turn = 0
    registry.on({ method: 'PATCH', path: /uploads/u, times: 60 }, async (exchange) => {
      turn += 1
      if (turn % 2 === 1) return breakAfter(registry, 1_500_000)(exchange)
      if (how === 'lost') registry.uploads.clear()
      return answer(how === 'lost' ? 404 : 400, {}, how === 'lost' ? '' : '{"errors":[{"code":"DIGEST_INVALID"}]}')(exchange)
    })
    expect(await failureOf(pushBlob(registry))).toMatchObject({ code: 'REGISTRY_UNEXPECTED_STATUS' })
    expect(turn).toBeLessThan(20)
  })

  it('whose completion was done but not confirmed is not sent again', async () => {
    await using registry = await startRegistry()
    registry.on({ method: 'PUT', path: /uploads/u, times: 1 }, (exchange) => {
      registry.blobs.set(blob.digest, bytes)
      registry.uploads.clear()
      exchange.response.socket?.destroy()
    })
    await pushBlob(registry)
    expect(registry.requests('PATCH', /./u)).toHaveLength(1)
  })
})
