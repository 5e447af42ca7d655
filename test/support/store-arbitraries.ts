/** Random stores and policies, as plain values: what is made of them is in random-store.ts. */
import fc from 'fast-check'

const index = fc.nat({ max: 1000 })
/** In hours before now: some are in the future, as after a clock that was set back. */
const age = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) }, { weight: 1, arbitrary: fc.integer({ min: -100, max: -1 }) })
const label = fc.constantFrom('keep=1', 'keep=2', 'stage=ci', 'empty=')
const tag = fc.tuple(fc.constantFrom('app', 'lib/web', 'other', 'localhost:5000/app'), fc.constantFrom('1', '2', '3', 'latest')).map(([repository, each]) => `${repository.includes(':') ? '' : 'docker.io/library/'}${repository}:${each}`)

const layer = fc.record({ parent: fc.option(index), files: fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 5 }), isCommitted: fc.boolean(), age })
const image = fc.record({ top: index, tags: fc.uniqueArray(tag, { maxLength: 3 }), labels: fc.uniqueArray(label, { maxLength: 2 }), comment: fc.constantFrom('one', 'two'), age })

export const randomStore = fc.record({
  layers: fc.array(layer, { minLength: 1, maxLength: 7 }),
  images: fc.array(image, { maxLength: 6 }),
  /** Images of several platforms, of images. */
  indexes: fc.array(fc.record({ of: fc.array(index, { minLength: 1, maxLength: 3 }), tags: fc.uniqueArray(tag, { maxLength: 2 }), age }), { maxLength: 1 }),
  cache: fc.array(fc.record({ top: index, age }), { maxLength: 5 }),
  mounts: fc.array(fc.record({ files: fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 4 }), hasLink: fc.boolean(), age }), { maxLength: 2 }),
  litter: fc.record({ blobs: fc.nat({ max: 2 }), strays: fc.nat({ max: 2 }), trash: fc.nat({ max: 2 }), dead: fc.nat({ max: 2 }), incoming: fc.nat({ max: 2 }), quarantine: fc.nat({ max: 1 }) }),
  /** What another process uses meanwhile. */
  used: fc.record({ layers: fc.array(index, { maxLength: 1 }), images: fc.array(index, { maxLength: 1 }), mounts: fc.array(index, { maxLength: 1 }), hasSnapshot: fc.boolean() }),
})

const filter = fc.oneof(
  fc.constantFrom('until=24h', 'until=100h', 'until=7d', 'until=1h30m'), label.map((each) => `label=${each}`), label.map((each) => `label!=${each}`), fc.constantFrom('label=keep', 'label!=stage'),
  fc.constantFrom('reference=app', 'reference=app:*', 'reference=*', 'reference=lib/*', 'reference=*:latest'), fc.constantFrom('dangling=true', 'dangling=false'), fc.constantFrom('type=image', 'type=cache', 'type=mount'),
)
/** As shares of what the store holds, which `random-store.ts` turns into amounts: of free space, that much more than there is. */
const share = fc.option(fc.integer({ min: 0, max: 120 }).map((percent) => percent / 100), { freq: 2, nil: undefined })
const policy = fc.record({
  what: fc.constantFrom('all' as const, 'all' as const, 'dangling' as const), filters: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 3, arbitrary: fc.array(filter, { maxLength: 2 }) }), keepLast: fc.option(fc.nat({ max: 3 }), { freq: 2, nil: undefined }),
  maxBytes: share, maxInodes: share, minFreeBytes: share, minFreeInodes: share,
})

export const randomPolicies = fc.array(policy, { maxLength: 3 })
export const randomRemoval = fc.record({ store: randomStore, policies: randomPolicies })

type Made<Arbitrary> = Arbitrary extends fc.Arbitrary<infer Value> ? Value : never
export type RandomStore = Made<typeof randomStore>
export type RandomPolicy = Made<typeof policy>
export type RandomRemoval = Made<typeof randomRemoval>
