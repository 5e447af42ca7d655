import { closeSync, readSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { getAddon } from '../../native/index.ts'

/** Makes the nodes that it reads the paths of, in hexadecimal, and answers each with an errno. A process for each one would cost the most of a test. */
const script = `
use POSIX ();
$| = 1;
while (<STDIN>) {
  my ($kind, $hex) = split;
  my $path = pack("H*", $hex);
  my $failed = $kind eq "fifo" ? syscall(133, $path, 0010644, 0) : syscall(133, $path, 0020644, 259);
  print $failed == 0 ? 0 : $! + 0, "\\n";
}`

interface Maker { readonly requests: number; readonly answers: number }

let started: Maker | undefined

/** mknod(2) of a fifo or of /dev/null's device. @throws with the code of what stopped it, as Node's own calls do */
export function makeNode(kind: 'fifo' | 'device', path: Buffer): void {
  started ??= start()
  writeSync(started.requests, `${kind} ${path.toString('hex')}\n`)
  const answer = Buffer.alloc(16)
  const errno = Number(answer.toString('latin1', 0, readSync(started.answers, answer)))
  if (errno === 0) return
  const [code] = Object.entries(constants.errno).find(([, value]) => value === errno) ?? ['EUNKNOWN']
  throw Object.assign(new Error(`${code}: mknod`), { code })
}

/** It ends with this process, when nobody writes to it any more. */
function start(): Maker {
  const addon = getAddon()
  const [ownRequests, requests] = addon.pipe(0)
  const [answers, ownAnswers] = addon.pipe(0)
  addon.spawn('/usr/bin/perl', ['perl', '-e', script], [], [ownRequests, ownAnswers, 2])
  closeSync(ownRequests)
  closeSync(ownAnswers)
  return { requests, answers }
}
