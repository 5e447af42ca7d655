/**
 * npm run power-loss [-- --rounds 20 --kinds apply,pull,commit,image,convert --format erofs --json]
 * Takes the power away from a filesystem while processes work on a store on it: ext4 on a loop device forgets all it has not written. After the
 * next mount and a collection the store must be clean and have everything that was reported done. In a mount namespace of its own.
 */
/* eslint-disable no-console -- a program that reports to whoever started it */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { ChainId, Digest } from '../../oci/digest.ts'
import { fsck, gc, openStore } from '../../storage/index.ts'
import { runWithOwnMounts } from '../support/own-mounts.ts'
import { task } from '../support/streams.ts'

const { values } = parseArgs({ options: {
  rounds: { type: 'string', default: '20' }, kinds: { type: 'string', default: 'ingest,apply,pull,commit,image,convert' }, mount: { type: 'string', default: 'data=ordered' },
  format: { type: 'string' }, json: { type: 'boolean', default: false }, inside: { type: 'string' },
} })
// The processes that do the work take it from there.
if (values.format !== undefined) process.env['TSBUILD_LAYER_FORMAT'] = values.format

const slowestStartMs = 30_000

if (values.inside === undefined) runWithOwnMounts(import.meta.filename, 'power')
else await run(values.inside)

async function run(folder: string): Promise<void> {
  const [image, disk] = [join(folder, 'image'), join(folder, 'disk')]
  mkdirSync(disk)
  writeFileSync(image, '')
  truncateSync(image, 2 ** 30)
  execFileSync('mkfs.ext4', ['-q', '-F', image])
  const problems: string[] = []
  let done = 0
  mount(image, disk)
  try {
    await (await openStore(join(disk, 'store')))[Symbol.asyncDispose]()
    execFileSync('sync')
    for (let round = 0; round < Number(values.rounds); round += 1) {
      // In every other round it is a store that was not there before.
      const root = join(disk, round % 2 === 0 ? 'store' : `store-${round}`)
      const reported = await workUntilPowerLoss({ disk, root }, round)
      execFileSync('umount', [disk])
      mount(image, disk)
      done += reported.length
      problems.push(...(await judge(root, reported)).map((problem) => `round ${round}: ${problem}`))
    }
  } finally {
    execFileSync('umount', [disk])
  }
  if (values.json) console.log(JSON.stringify({ done, problems }))
  else console.log([...problems, `${done} things were reported done, ${problems.length} problems`].join('\n'))
  process.exitCode = problems.length === 0 ? 0 : 1
}

function mount(image: string, disk: string): void {
  execFileSync('mount', ['-o', `loop,${values.mount}`, image, disk])
}

async function workUntilPowerLoss({ disk, root }: { readonly disk: string; readonly root: string }, round: number): Promise<string[]> {
  const worker = join(import.meta.dirname, '..', 'support', 'store-worker.ts')
  const kinds = values.kinds.split(',')
  const children = [0, 1].map((index) => spawn(process.execPath, [worker, root, kinds[(round + index) % kinds.length] ?? '', `${round}-${index}`], { stdio: ['ignore', 'pipe', 'ignore'] }))
  const outputs = children.map(() => '')
  children.forEach((child, index) => { child.stdout.setEncoding('utf8').on('data', (text: string) => { outputs[index] = `${outputs[index] ?? ''}${text}` }) })
  // Some rounds end while the store is opened; in the others something was done, however slow the machine is.
  if (round % 4 > 0) await Promise.race([...children.map((child) => once(child.stdout, 'data')), sleep(slowestStartMs, undefined, { ref: false })])
  await sleep(137 * (round % 9))
  // FS_IOC_SHUTDOWN without flushing the journal: nothing more reaches the disk.
  execFileSync('perl', ['-e', 'open(F, "<", $ARGV[0]) or die; my $how = pack("L", 2); ioctl(F, 0x8004587d, $how) or die "shutdown: $!"', disk])
  const seen = outputs.map((output) => output)
  for (const child of children) child.kill('SIGKILL')
  for (const child of children) if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  // What had come by then was done before; a last line may be half there.
  return seen.flatMap((output) => output.slice(0, output.lastIndexOf('\n') + 1).split('\n')).filter((line) => line !== '')
}

async function judge(root: string, reported: readonly string[]): Promise<string[]> {
  await using store = await openStore(root)
  const lost = reported.filter((line) => {
    const [type, id = ''] = line.split(' ')
    const found = type === 'blob' ? store.content.find(id as Digest) : type === 'image' ? store.images.find(id) : store.layers.find(id as ChainId)
    return type !== 'gc' && found === undefined
  })
  // Files whose records the journal had not taken yet are garbage that nothing refers to.
  await gc(store, task, { dryRun: false })
  const { findings } = await fsck(store, task)
  return [...findings.map((finding) => `fsck finds ${JSON.stringify(finding)}`), ...lost.map((line) => `lost ${line}`)]
}
