import { directory, file, forgePax, hardLink, octal, symlink } from './tar-forge.ts'

/** Entries for random operations to meet, below a folder whose name ends in a slash. */
export function operationBase(folder = ''): Buffer {
  const under = (name: string): string => `${folder}${name}`
  return Buffer.concat([
    ...(folder === '' ? [] : [directory(folder)]),
    directory(under('a/'), { mode: octal(0o2750), uid: octal(5) }), file(under('a/a'), 'one'), file(under('a/b'), 'two', { mode: octal(0o4711) }), hardLink(under('a/c'), under('a/a')),
    directory(under('a/d/')), file(under('a/d/a'), 'deep'), symlink(under('a/d/b'), '../b'), directory(under('b/')), forgePax({ 'SCHILY.xattr.user.x': 'y' }), directory(under('b/a/')),
    file(under('b/a/a'), 'x'), symlink(under('c'), 'a'), symlink(under('d'), '/no/such/folder'), forgePax({ path: Buffer.concat([Buffer.from(folder), Buffer.from([0xff, 0xfe])]) }), file('x', 'bytes'),
  ])
}
