import fc from 'fast-check'
import type { TreeOperation } from './tree-operations.ts'

/** Few names and shallow paths, so that operations meet. */
const name = fc.constantFrom('a', 'a', 'a', 'a', 'b', 'b', 'b', 'c', 'd', 'd', '\xff\xfe', '-n e.w', 'ü')
const path = fc.constantFrom(1, 1, 1, 2, 2, 2, 3).chain((length) => fc.array(name, { minLength: length, maxLength: length })).map((parts) => parts.join('/'))
/** Whatever a process may try. */
export const operation: fc.Arbitrary<TreeOperation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('write' as const, 'append' as const), path, bytes: fc.nat(9000) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('mkdir' as const, 'unlink' as const), path }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), path }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('rename' as const, 'link' as const), path, to: path }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('symlink' as const), path, target: fc.oneof(path, path.map((target) => `/no/such/folder/${target}`)) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('chmod' as const), path, mode: fc.nat(0o7777) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('chown' as const), path, uid: fc.constantFrom(0, 1, 70000, 4_000_000_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('truncate' as const), path, bytes: fc.nat(20_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('xattr' as const), path, name: fc.constantFrom('user.a', 'trusted.b', 'trusted.overlay.opaque', 'user.overlay.opaque'), value: fc.constantFrom('y', 'other') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('utimes' as const), path, seconds: fc.nat(2 ** 32) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('fifo' as const, 'device' as const), path }) },
)

/** The same but for links that lead out of the tree, where two runs would meet. */
export const insideOperation = operation.filter((each) => each.do !== 'symlink' || !each.target.startsWith('/'))

/** What is done in two steps, a layer each. */
export type Sequence = readonly [first: readonly TreeOperation[], second: readonly TreeOperation[]]
export const sequence: fc.Arbitrary<Sequence> = fc.tuple(fc.array(operation, { minLength: 1, maxLength: 25 }), fc.array(operation, { maxLength: 25 }))
