/** What an archive may break, by the numbers of native/helper/tree/base/rule.h. */
const archiveRules = [
  'empty-archive', 'bad-checksum', 'bad-number', 'truncated', 'stray-zero-block', 'unknown-type', 'sparse-file', 'bad-pax-record', 'ambiguous-name',
  'header-too-large', 'too-many-headers', 'bad-path', 'name-too-long', 'path-too-long', 'too-deep', 'root-is-no-directory', 'bad-whiteout', 'below-whiteout',
  'link-loop', 'parent-is-no-directory', 'link-to-nothing', 'link-to-wrong-type', 'too-many-links', 'bad-link-target', 'bad-device', 'bad-owner', 'bad-xattr',
  'too-many-entries', 'too-large', 'too-slow',
] as const

/** What a tree or a list of entries may break that is to become an archive. */
const treeRules = ['named-like-whiteout', 'refers-to-other-layer', 'out-of-order', 'source-is-no-file', 'source-size-changed'] as const

export type ArchiveRule = typeof archiveRules[number]
export type TreeRule = typeof treeRules[number]

const firstTreeRule = 64

export function findRule(number: number): ArchiveRule | TreeRule | undefined {
  return number >= firstTreeRule ? treeRules[number - firstTreeRule] : archiveRules[number - 1]
}

export function isArchiveRule(rule: ArchiveRule | TreeRule): rule is ArchiveRule {
  return archiveRules.some((known) => known === rule)
}
