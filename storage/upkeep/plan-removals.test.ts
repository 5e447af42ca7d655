import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Holdings } from '../usage/holdings.ts'
import type { Inventory, StockedCacheEntry, StockedImage, StockedLayer, StockedMount } from '../usage/inventory.ts'
import type { Space } from '../usage/space.ts'
import { planRemovals } from './plan-removals.ts'
import type { PrunePolicy } from './policy.ts'
import { identity } from './policy.ts'

const policy: PrunePolicy = { what: 'all', filters: {}, keepLast: undefined, budgets: {} }
const space: Space = { total: { bytes: 1000, inodes: 100 }, free: { bytes: 100, inodes: 0 }, countsInodes: true }

function layer(chainId: string, parent?: string, size = { bytes: 10, inodes: 2 }): StockedLayer {
  return { chainId, diffId: `diff-${chainId}`, parent, size, createdAtMs: 0, usedAtMs: 0 }
}

function image(id: string, rest: Partial<StockedImage> = {}): StockedImage {
  return { kind: 'image', id, manifest: `m-${id}`, names: [`host/${id}:1`], tops: [], blobs: [], createdAtMs: 0, usedAtMs: 0, isInUse: false, ...rest }
}

function entry(key: string, top: string, rest: Partial<StockedCacheEntry> = {}): StockedCacheEntry {
  return { kind: 'cache', key, tops: [top], createdAtMs: 0, usedAtMs: 0, isInUse: false, ...rest }
}

function inventory(parts: { images?: StockedImage[]; cache?: StockedCacheEntry[]; mounts?: StockedMount[]; layers?: StockedLayer[]; blobs?: Record<string, number>; leased?: string[] }): Inventory {
  return {
    images: parts.images ?? [], cache: parts.cache ?? [], mounts: parts.mounts ?? [],
    layers: new Map((parts.layers ?? []).map((each) => [each.chainId, each])),
    blobs: new Map(Object.entries(parts.blobs ?? {}).map(([digest, bytes]) => [digest, { bytes, inodes: 1 }])),
    layerBlobs: new Map(), leases: { layers: new Set(parts.leased), blobs: new Set() },
  }
}

function plan(stock: Inventory, ...policies: readonly Partial<PrunePolicy>[]): { removed: string[]; freed: unknown; unmet: unknown } {
  const { removals, freed, unmet } = planRemovals({
    inventory: stock, policies: policies.map((each) => ({ ...policy, ...each })), space, leftovers: { bytes: 0, inodes: 0 }, labelsOf: ({ id }) => ({ id }),
  })
  return { removed: removals.map(identity), freed, unmet }
}

describe('a plan of removals', () => {
  const chain = [layer('base'), layer('a', 'base'), layer('b', 'base')]

  it('without policies frees what nobody holds, and blobs of layers with their layers', () => {
    const stock = { ...inventory({ images: [image('a', { tops: ['a'] })], layers: chain, blobs: { loose: 7, ofA: 5 } }), layerBlobs: new Map([['diff-a', ['ofA']]]) }
    expect(plan(stock)).toEqual({ removed: [], freed: { bytes: 17, inodes: 3, layers: 1, blobs: 1 }, unmet: [] })
    expect(plan(stock, {})).toEqual({ removed: ['a'], freed: { bytes: 42, inodes: 8, layers: 3, blobs: 2 }, unmet: [] })
  })

  it('leaves what is in use, and what somebody leases below it', () => {
    const stock = inventory({ images: [image('a', { tops: ['a'], isInUse: true }), image('b', { tops: ['b'] })], layers: chain, leased: ['a'] })
    expect(plan(stock, {})).toMatchObject({ removed: ['b'], freed: { layers: 1 } })
  })

  it('takes the least recently used until the budgets hold, and says which cannot', () => {
    const images = [3, 1, 2].map((usedAtMs) => image(`i${usedAtMs}`, { tops: [`l${usedAtMs}`], usedAtMs }))
    const stock = inventory({ images, layers: [1, 2, 3].map((number) => layer(`l${number}`)) })
    expect(plan(stock, { budgets: { maxBytes: 20 } })).toMatchObject({ removed: ['i1'], unmet: [] })
    expect(plan(stock, { budgets: { maxBytes: 30 } })).toMatchObject({ removed: [], unmet: [] })
    expect(plan(stock, { budgets: { maxInodes: 5, maxBytes: 20 } })).toMatchObject({ removed: ['i1'] })
    expect(plan(stock, { budgets: { minFreeBytes: { kind: 'share', share: 0.12 } } })).toMatchObject({ removed: ['i1', 'i2'], unmet: [] })
    expect(plan(stock, { budgets: { minFreeInodes: { kind: 'share', share: 0.5 } } }))
      .toMatchObject({ removed: ['i1', 'i2', 'i3'], unmet: [{ budget: 'minFreeInodes', wanted: 50, reached: 6 }] })
  })

  it('keeps the newest of each repository', () => {
    const names = ['host:5000/app:1', 'host:5000/app:2', 'host/other@sha256:0', 'host:5000/app:3']
    const images = names.map((name, createdAtMs) => image(name, { names: [name], createdAtMs }))
    expect(plan(inventory({ images: [...images, image('none', { names: [] })] }), { keepLast: 1 }).removed.sort()).toEqual(['host:5000/app:1', 'host:5000/app:2', 'none'])
    expect(plan(inventory({ images }), { keepLast: 0 }).removed).toHaveLength(4)
    const cached = inventory({ images, cache: [entry('k', 'base')], layers: chain })
    expect(plan(cached, { keepLast: 4 }).removed).toEqual([])
    expect(plan(cached, { keepLast: 4, budgets: { maxBytes: 0 } }).removed).toEqual(['k'])
  })

  it('by default means images without names and cache entries of no image with one', () => {
    const stock = inventory({ images: [image('a', { tops: ['a'] }), image('b', { tops: ['b'], names: [] })], cache: [entry('of-base', 'base'), entry('of-b', 'b')], layers: chain })
    expect(plan(stock, { what: 'dangling' }).removed).toEqual(['b', 'of-b'])
  })

  it('removes what passes every filter', () => {
    const stock = inventory({ images: [image('a', { createdAtMs: 5 }), image('b', { createdAtMs: 10 }), image('c', { names: ['x', 'y'] })], cache: [entry('k', 'base', { usedAtMs: 5 })], layers: chain })
    expect(plan(stock, { filters: { beforeMs: 10 } }).removed).toEqual(['a', 'c', 'k'])
    expect(plan(stock, { filters: { beforeMs: 5 } }).removed).toEqual(['c'])
    expect(plan(stock, { filters: { name: (name) => name === 'x' } }).removed).toEqual([])
    expect(plan(stock, { filters: { name: (name) => name !== 'host/a:1' } }).removed).toEqual(['b', 'c'])
    expect(plan(stock, { filters: { labels: ({ id }) => id === 'b' } }).removed).toEqual(['b'])
    expect(plan(stock, { filters: { kind: 'cache' } }).removed).toEqual(['k'])
    expect(plan(stock, { filters: { isDangling: false }, what: 'all' }).removed).toEqual(['a', 'b', 'c'])
  })

  it('goes through policies one after the other', () => {
    const images = [1, 2, 3].map((usedAtMs) => image(`i${usedAtMs}`, { tops: [`l${usedAtMs}`], usedAtMs, names: usedAtMs === 2 ? [] : ['x:1'] }))
    const stock = inventory({ images, layers: [1, 2, 3].map((number) => layer(`l${number}`)) })
    expect(plan(stock, { what: 'dangling' }, { budgets: { maxBytes: 10 } }).removed).toEqual(['i2', 'i1'])
  })

  it('counts cache mounts by what they take, and takes them when all is meant', () => {
    const mount = (name: string, usedAtMs: number): StockedMount => ({ kind: 'mount', name, id: name, size: { bytes: 30, inodes: 9 }, createdAtMs: 0, usedAtMs, isInUse: name === 'busy' })
    const stock = inventory({ mounts: [mount('old', 1), mount('new', 2), mount('busy', 0)] })
    expect(plan(stock, { what: 'dangling' }).removed).toEqual([])
    expect(plan(stock, { budgets: { maxBytes: 60 } })).toMatchObject({ removed: ['old'], freed: { bytes: 30, inodes: 9 } })
    expect(plan(stock, { filters: { kind: 'mount' } }).removed).toEqual(['old', 'new'])
  })

  it('refuses to keep inodes free where nobody counts them', () => {
    const work = { inventory: inventory({}), policies: [{ ...policy, budgets: { minFreeInodes: { kind: 'count', count: 1 } } }] as const, space: { ...space, countsInodes: false }, leftovers: { bytes: 0, inodes: 0 }, labelsOf: () => ({}) }
    expect(() => planRemovals(work)).toThrow(expect.objectContaining({ code: 'STORAGE_INODES_UNCOUNTED' }))
  })

  it('foretells for any stock and order exactly what is left', () => {
    const stocks = fc.integer({ min: 1, max: 12 }).chain((count) => fc.record({
      parents: fc.array(fc.nat(count), { minLength: count, maxLength: count }),
      tops: fc.array(fc.nat(count - 1), { maxLength: 8 }),
      shared: fc.array(fc.nat(4), { minLength: count, maxLength: count }),
    }))
    fc.assert(fc.property(stocks, ({ parents, tops, shared }) => {
      const layers = parents.map((parent, index) => layer(`l${index}`, parent < index ? `l${parent}` : undefined, { bytes: index + 1, inodes: 1 }))
      const images = tops.map((top, index) => image(`i${index}`, { tops: [`l${top}`], usedAtMs: index, blobs: [`b${index % 3}`] }))
      const stock = { ...inventory({ images, layers, blobs: { b0: 3, b1: 5, b2: 7, b3: 11, b4: 13 } }), layerBlobs: new Map(shared.map((blob, index) => [`diff-l${index}`, [`b${blob}`]])) }
      const all = [...layers.map(({ size }) => size.bytes), 3, 5, 7, 11, 13].reduce((sum, bytes) => sum + bytes, 0)
      for (let maxBytes = 0; maxBytes <= all; maxBytes += 5) {
        const { removals, freed } = planRemovals({ inventory: stock, policies: [{ ...policy, budgets: { maxBytes } }], space, leftovers: { bytes: 0, inodes: 0 }, labelsOf: () => ({}) })
        const left = new Holdings(stock, images.filter((each) => !removals.includes(each)))
        expect(freed.bytes).toBe(all - left.size().bytes)
        expect(left.size().bytes <= maxBytes || removals.length === images.length).toBe(true)
      }
    }))
  })
})
