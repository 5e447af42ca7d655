import { onBusybox } from './case-table.ts'

/** BuildKit after 0.13 hands the owner to what it unpacks (`solver/llbsolver/file/unpack.go`), this one to the directories it makes alone. */
const owner = 'newer versions give what they unpack the owner too'
const link = 'the store of this docker cannot merge layers, so that its --link copies like any COPY'
const unpacked = ['/x/named', '/x/usr', '/x/usr/bin', '/x/usr/bin/alias', '/x/usr/bin/same', '/x/usr/bin/tool']

export const addCases = onBusybox({
  'add-file': 'ADD a.txt /x',
  'add-directory': 'ADD dir /x',
  'add-tar': 'ADD archive.tar /x',
  'add-gzip': 'ADD archive.tar.gz /x/',
  'add-bzip2': 'ADD archive.tar.bz2 /x',
  'add-xz': 'ADD archive.tar.xz /x',
  'add-tar-root': 'RUN chmod 0700 /usr && chown 3:4 /usr/bin\nADD archive.tar.gz /',
  'add-tar-chown': ['ADD --chown=7:8 archive.tar /x', { explained: Object.fromEntries(unpacked.map((path) => [path, owner])) }],
  'add-tar-chmod': 'ADD --chmod=0600 archive.tar /x',
  'add-tar-existing-file': 'RUN echo x >/x\nADD archive.tar /x',
  'add-tar-wildcard': 'ADD archive.* /x/',
  'add-tar-inside-directory': 'RUN true\nADD . /x',
  'add-single-gzip': 'ADD single.gz /x/',
  'add-tar-link-destination': 'RUN mkdir /real && ln -s /real /ln\nADD archive.tar /ln',
  'add-tar-over-link': 'RUN mkdir -p /x /other && ln -s /other /x/usr\nADD archive.tar /x',
  'add-copy-tar': 'COPY archive.tar.gz /x/',
  'add-heredoc': 'ADD <<EOF /h\ntext\nEOF',
  'add-several': 'ADD a.txt archive.tar /x/',
  'add-link': ['ADD --link archive.tar /tmp', { explained: { '/tmp': link } }],
  'add-missing': 'ADD missing /x',
  'add-scratch': 'FROM scratch\nADD archive.tar.xz /',
})
