import { describe, expect, it } from 'vitest'
import { missingTests, readThreats } from './support/named-tests.ts'

/** Where what has hit other builders is tested here: by number, what it was, the file, and how the test's title begins. */
const ofBuilders: readonly (readonly [number: number, what: string, file: string, title: string])[] = [
  [39, 'a directory of a cache mount swapped for a link', 'test/e2e/threats.test.ts', '39 a directory'],
  [40, 'clean-up of mount points through a link', 'test/e2e/threats.test.ts', '40 what a step puts'],
  [41, 'privilege without leave', 'test/e2e/threats.test.ts', '41 no unknown word'],
  [42, 'options in the place of refs', 'test/e2e/contexts.test.ts', 'is refused with %s'],
  [43, 'a link to / as the source of a bind mount', 'test/e2e/mounts.test.ts', 'follows a link of a stage inside that stage'],
  [44, 'the same, swapped between looking and mounting', 'test/kernel/clean-layers.test.ts', 'does not take a link as its source'],
  [45, 'the id of a cache as a path', 'test/e2e/mounts.test.ts', 'lies below the store whatever its id is'],
  [46, 'options of a mount passed on', 'test/e2e/threats.test.ts', '46 a mount has no options'],
  [47, 'mounts of ours through links of the image', 'test/e2e/traps-run.test.ts', '70 resolv.conf and hosts'],
  [48, 'writes into the real context', 'test/e2e/mounts.test.ts', 'lets writes vanish from the context'],
  [49, 'a link in a broken tar, then a fallback', 'test/e2e/threats.test.ts', '49 a Dockerfile that is a link'],
  [50, 'a subdirectory of a repository that leads out', 'test/e2e/contexts.test.ts', 'is refused with %s'],
  [51, 'names given by a server', 'test/e2e/threats.test.ts', '51 the name a server gives'],
  [52, 'a repository that runs programs', 'test/e2e/contexts.test.ts', 'runs nothing of what it brings'],
  [53, 'addresses as options', 'test/e2e/threats.test.ts', '53 addresses'],
  [54, 'cache keys that leave something out', 'test/e2e/cache.test.ts', 'names the first thing that changed'],
  [55, 'diffIDs that a config only claims', 'test/kernel/layer-blobs.test.ts', 'are refused when blob or changeset is not what was announced'],
  [56, 'one name in several spellings', 'registry-client/reference.test.ts', 'reads every canonical and familiar name back'],
  [57, 'ignore files that are no files', 'test/e2e/threats.test.ts', '57 ignore files'],
  [58, 'archives through links of the image', 'test/e2e/threats.test.ts', '58 an archive'],
  [59, 'chains of links in an archive', 'test/kernel/hostile-layers.test.ts', 'follows links of this layer and of those below'],
  [60, 'a context tar that leads out, and links that are legal', 'test/e2e/contexts.test.ts', 'as a tar cannot lead out of itself'],
  [61, 'volumes that copy from the host', 'test/e2e/threats.test.ts', '61 volumes'],
  [62, 'configs and histories that do not fit', 'test/kernel/images.test.ts', 'are recorded only when their documents and layers are there'],
  [63, 'credentials that end in what is kept', 'test/e2e/secret-guard.test.ts', 'stores nothing of it'],
  [64, 'metadata that a mapped id can write', 'test/e2e/threats.test.ts', '64 what ids'],
]

/** The corpus of hostile Dockerfiles, kind by kind. */
const corpus: readonly (readonly [what: string, file: string, title: string])[] = [
  ['NUL, BOM, carriage returns, one long line, empty lines, continuations, comments', 'builder/dockerfile/hostile.test.ts', '%s ends as %s'],
  ['quotes, brackets, JSON, here-documents, triggers, flags', 'builder/dockerfile/hostile.test.ts', '%s ends as %s'],
  ['stages, expansion bombs, patterns, prototypes', 'builder/dockerfile/hostile.test.ts', '%s ends as %s'],
  ['directives, backslash at the end, comment inside a continuation', 'builder/dockerfile/golden.test.ts', '%s'],
  ['grammar fuzzing: parsing is total, printing a fixpoint', 'builder/dockerfile/properties.test.ts', 'reads or refuses any text'],
  ['cycles between stages', 'test/e2e/threats.test.ts', 'steps of a stage cannot use it'],
  ['environments the kernel refuses', 'test/e2e/threats.test.ts', 'an environment too large'],
  ['names of variables', 'test/e2e/threats.test.ts', 'names of variables'],
  ['exponential patterns', 'test/e2e/threats.test.ts', 'patterns of every kind end'],
  ['junk in values', 'test/e2e/threats.test.ts', 'UTF-16, junk in every value'],
  ['a remote frontend', 'test/e2e/threats.test.ts', 'another frontend is not executed'],
  ['--link onto a link, --parents, wrong checksums', 'test/e2e/traps-copy.test.ts', '45 a link in the destination'],
]

/** What may poison a cache: published holes of builders' caches (54 to 56, 63), and more. */
const ofCaches = readThreats('cache-threats.json')
/** Published holes of registry clients (93 to 111) and faults of registries (R1 to R21). */
const ofRegistries = readThreats('registry-threats.json')
/** What a store promises and what may go wrong with it: other builders' gaps, invariants, faults, leaks, hostile layers. */
const ofStores = readThreats('storage-threats.json')

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe('published vulnerabilities of builders', () => {
  it.each(ofBuilders)('%d, %s, has its test', (_, __, file, title) => {
    expect(missingTests([[file, title]])).toEqual([])
  })

  it('are all listed', () => {
    expect(ofBuilders.map(([number]) => number)).toEqual(numbers(39, 64))
  })
})

describe('the corpus of hostile Dockerfiles', () => {
  it.each(corpus)('of %s has its test', (_, file, title) => {
    expect(missingTests([[file, title]])).toEqual([])
  })
})

describe('the list of what registries and images may try', () => {
  it('has every number once', () => {
    expect(ofRegistries.map(({ threat }) => threat.split(' ')[0])).toEqual([...numbers(93, 111).map(String), ...numbers(1, 21).map((number) => `R${number}`)])
  })
})

describe('the list of what may happen to a store', () => {
  it('has every number once', () => {
    const wanted = [['I', 9], ['K', 6], ['S', 7], ['C', 7], ['T', 2], ['H', 12], ['P', 5], ['L', 2], ['D', 1], ['M', 3], ['X', 3], ['W', 5], ['Z', 2]] as const
    const listed = ofStores.map(({ threat }) => threat.split(' ')[0] ?? '').filter((word) => /^[A-Z]\d+$/u.test(word))
    expect(listed).toEqual(wanted.flatMap(([letter, most]) => numbers(1, most).map((number) => `${letter}${number}`)))
    expect(ofStores.filter(({ threat }) => threat.startsWith('2.1 '))).toHaveLength(8)
    expect(ofStores.filter(({ threat }) => threat.startsWith('Leaks: '))).toHaveLength(8)
  })
})

describe.each([['caches', ofCaches], ['registries and images', ofRegistries], ['stores and layers', ofStores]])('what may come of %s', (_, threats) => {
  it.each(threats)('$threat: has tests that are there', ({ tests }) => {
    expect(tests.length).toBeGreaterThan(0)
    expect(missingTests(tests)).toEqual([])
  })
})
