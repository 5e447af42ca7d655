/** The work that is timed: inputs made once, and for each tool the command and what puts its state back before a run. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Peers, Tool } from './peers.ts'

export interface Scenario {
  readonly name: string
  /** Done once, untimed. */
  readonly setup?: () => void
  /** Done before every timed run, of this tool. */
  readonly before?: (tool: Tool) => void
  readonly commands: Partial<Record<Tool, readonly string[]>>
}

const fileCount = 10_000
const filesPerFolder = 100
const repositoryFileCount = 50_000
const bigFileMiB = 512

export function writeContexts(folder: string): void {
  const context = (name: string, dockerfile: string, fill?: (path: string) => void): void => {
    const path = join(folder, name)
    if (existsSync(join(path, 'Dockerfile'))) return
    mkdirSync(path, { recursive: true })
    fill?.(path)
    writeFileSync(join(path, 'Dockerfile'), dockerfile)
  }
  context('run20', `FROM busybox\n${Array.from({ length: 20 }, (_, index) => `RUN true ${index}\n`).join('')}`)
  context('copy10k', 'FROM scratch\nCOPY tree /tree\n', writeSmallFiles)
  context('copybig', 'FROM scratch\nCOPY blob /blob\n', writeBigFile)
  context('manyfiles', 'FROM busybox\nRUN mkdir /d && cd /d && for i in $(seq 100); do mkdir $i; for j in $(seq 100); do echo $i$j > $i/$j; done; done\nRUN rm -rf /d/1 && echo x > /d/2/1\n')
  context('stages4', `${[0, 1, 2, 3].map((index) => `FROM busybox AS s${index}\nRUN sleep 1; echo ${index} > /o${index}\n`).join('')}FROM scratch\n${[0, 1, 2, 3].map((index) => `COPY --from=s${index} /o${index} /\n`).join('')}`)
  context('steps200', `FROM busybox\n${Array.from({ length: 200 }, (_, index) => `RUN true ${index}\n`).join('')}`)
  context('rebuild50k', 'FROM busybox\nCOPY vendor /vendor\nCOPY app /app\nRUN cat /app/f0\n', writeRepository)
  context('rebuild50k-all', 'FROM busybox\nCOPY . /all\nRUN cat /all/app/f0\n', writeRepository)
  context('debian', 'FROM debian:bookworm\nRUN dpkg -l > /pkgs && cp -a /usr/share /usr/share2\n')
  context('push', 'FROM debian:bookworm\nCOPY seed /seed\nRUN cp -a /usr/share /usr/lib /opt/ && cp /seed /opt/\n', (path) => writeFileSync(join(path, 'seed'), ''))
}

function writeSmallFiles(path: string): void {
  for (let index = 0; index < fileCount; index += 1) {
    const folder = join(path, 'tree', `d${Math.floor(index / filesPerFolder)}`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `f${index}.txt`), Buffer.concat([...Array.from({ length: 64 }, () => randomBytes(64)), Buffer.from(String(index))]))
  }
}

/** 50,000 files, most of them below `vendor` and a few below `app`. */
function writeRepository(path: string): void {
  mkdirSync(join(path, 'app'), { recursive: true })
  for (let index = 0; index < repositoryFileCount; index += 1) {
    const folder = index < filesPerFolder ? join(path, 'app') : join(path, 'vendor', `d${Math.floor(index / filesPerFolder)}`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `f${index}`), `file ${index}\n`.repeat(index % 40 + 1))
  }
}

function writeBigFile(path: string): void {
  const half = Buffer.alloc(512 * 1024)
  for (let index = 0; index < bigFileMiB; index += 1) {
    writeFileSync(join(path, 'blob'), Buffer.concat([randomBytes(512 * 1024), half]), { flag: 'a' })
  }
}

/** Everything in `lab/bench` that can be measured here. `registry` is where base images come from and pushes go to. */
export function listScenarios(peers: Peers): Scenario[] {
  const build = (context: string, extra: readonly string[] = ['--no-cache']): Scenario['commands'] => peers.buildCommands(context, `bench-${context}`, extra)
  const cold = (context: string) => (): void => peers.forgetImage(`bench-${context}`)
  const bases = (image: string) => (): void => peers.pullBase(image)
  const steps200 = build('steps200', [])
  return [
    { name: 'startup', commands: { ...peers.commands({ docker: ['--version'], buildah: ['--version'], tsbuild: ['--version'] }), ...peers.emptyScript() } },
    { name: 'run20', setup: bases('busybox'), before: cold('run20'), commands: build('run20') },
    { name: 'run20-cached', setup: () => { bases('busybox')(); peers.runAll(build('run20', [])) }, commands: build('run20', []) },
    { name: 'copy10k', before: cold('copy10k'), commands: build('copy10k') },
    { name: 'copybig', before: cold('copybig'), commands: build('copybig') },
    { name: 'manyfiles', setup: bases('busybox'), before: cold('manyfiles'), commands: build('manyfiles') },
    { name: 'stages4', setup: bases('busybox'), before: cold('stages4'), commands: build('stages4') },
    // One node from the cache costs (steps200-cached - run20-cached) / 180.
    { name: 'steps200-cached', setup: () => { bases('busybox')(); peers.runAll(steps200) }, commands: steps200 },
    ...['rebuild50k', 'rebuild50k-all'].map((name): Scenario => ({
      name,
      setup: () => { bases('busybox')(); peers.runAll(build(name, [])) },
      before: () => { writeFileSync(join(peers.folder, name, 'app', 'f1'), `change ${process.hrtime.bigint()}\n`) },
      commands: build(name, []),
    })),
    { name: 'debian', setup: bases('debian:bookworm'), before: cold('debian'), commands: build('debian') },
    { name: 'pull', setup: () => peers.publishDebian(), before: () => peers.forgetEverything(), commands: peers.pullCommands() },
    { name: 'prune350', before: (tool) => peers.makeManyImages(350, tool), commands: peers.pruneCommands() },
    { name: 'push', setup: bases('debian:bookworm'), before: () => peers.buildFreshLayer(), commands: peers.pushCommands() },
    {
      name: 'push-again',
      setup: () => {
        bases('debian:bookworm')()
        peers.buildFreshLayer()
        peers.runAll(peers.pushCommands())
      },
      commands: peers.pushCommands(),
    },
  ]
}
