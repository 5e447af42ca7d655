/** How docker, buildah and skopeo with umoci are called for the same work as tsbuild. */
import { spawnSync } from 'node:child_process'
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** `floor` is what the work costs at least: an empty Node script, say. */
export const tools = ['tsbuild', 'floor', 'docker', 'buildah', 'skopeo+umoci'] as const
export type Tool = (typeof tools)[number]
export type Commands = Partial<Record<Tool, readonly string[]>>

export interface PeersOptions {
  /** Put before every peer's command, to reach peers in a chroot or container. */
  readonly prefix: readonly string[]
  /** The folder with the build contexts, here and as the peers see it. */
  readonly folder: string
  readonly folderInside: string
  /** Host and port of a registry without TLS that has library/busybox and library/debian:bookworm. */
  readonly registry: string
  readonly tsbuild: readonly string[]
  readonly wanted: readonly Tool[]
}

/** tsbuild's own state is under `<folder>/tsbuild-root`, made afresh by the first pull. */
export class Peers {
  readonly #options: PeersOptions
  readonly present: ReadonlySet<Tool>
  /** Roots of earlier runs. ext4 is slow to make files where others were deleted a moment ago (0047), so they go at the end. */
  readonly #aside: string[] = []

  constructor(options: PeersOptions) {
    this.#options = options
    this.present = new Set(options.wanted.filter((tool) => this.#isPresent(tool)))
  }

  /** With the build contexts. */
  get folder(): string {
    return this.#options.folder
  }

  get tsbuildRoot(): string {
    return join(this.#options.folder, 'tsbuild-root')
  }

  get environment(): NodeJS.ProcessEnv {
    const environment: NodeJS.ProcessEnv = { ...process.env, TSBUILD_ROOT: this.tsbuildRoot, CONTAINERS_REGISTRIES_CONF: this.#writeRegistriesConf(), NO_COLOR: '1' }
    // Reading a bundle of extra certificates costs Node four times its own start.
    delete environment['NODE_EXTRA_CA_CERTS']
    return environment
  }

  commands(args: Partial<Record<Tool, readonly string[]>>): Commands {
    return Object.fromEntries(tools.filter((tool) => this.present.has(tool)).map((tool) => [tool, args[tool]]).filter((pair): pair is [Tool, readonly string[]] => pair[1] !== undefined).map(([tool, rest]) => [tool, this.#command(tool, rest)]))
  }

  buildCommands(context: string, name: string, extra: readonly string[]): Commands {
    const inside = join(this.#options.folderInside, context)
    return this.commands({
      docker: ['build', '-q', ...extra, '--network=none', '-t', name, inside],
      buildah: ['build', '-q', '--layers', ...extra, '--network=none', '-t', name, inside],
      tsbuild: ['build', '-q', ...extra, '--network=none', '-t', name, join(this.#options.folder, context)],
    })
  }

  pullCommands(): Commands {
    const image = this.#pulledImage
    return {
      ...this.commands({ docker: ['pull', '-q', image], buildah: ['pull', '-q', image], tsbuild: ['pull', '-q', image] }),
      ...(this.present.has('skopeo+umoci') ? { 'skopeo+umoci': [...this.#options.prefix, 'sh', '-c', `skopeo copy -q --src-tls-verify=false docker://${image} oci:/tmp/bench-oci:x && umoci unpack --image /tmp/bench-oci:x /tmp/bench-bundle`] } : {}),
    }
  }

  pushCommands(): Commands {
    const args = (tool: Tool): readonly string[] => ['push', '-q', `${this.#options.registry}/p/${tool}:x`]
    return this.commands({ docker: args('docker'), buildah: args('buildah'), tsbuild: args('tsbuild') })
  }

  runAll(commands: Commands): void {
    for (const command of Object.values(commands)) this.#run(command)
  }

  pullBase(image: string): void {
    this.runAll(this.commands({ buildah: ['pull', '-q', image], tsbuild: ['pull', '-q', image] }))
  }

  forgetImage(name: string): void {
    this.#runInside(`docker builder prune -af; docker rmi -f ${name}; buildah rmi -f ${name}`)
    this.runAll(this.commands({ tsbuild: ['rmi', '-f', name] }))
  }

  forgetEverything(): void {
    this.#runInside(`docker rmi -f ${this.#pulledImage}; docker builder prune -af; buildah rmi -af; podman rmi -af; rm -rf /tmp/bench-bundle /tmp/bench-oci`)
    this.#setAside()
  }

  #setAside(): void {
    if (!existsSync(this.tsbuildRoot)) return
    const aside = `${this.tsbuildRoot}.${process.pid}-${this.#aside.length}`
    renameSync(this.tsbuildRoot, aside)
    this.#aside.push(aside)
  }

  /** To be called at the end. */
  clearAside(): void {
    for (const path of this.#aside) rmSync(path, { recursive: true, force: true })
  }

  /** A Debian image of three layers in the registry. No other image has its first, so that all tools fetch all three. */
  publishDebian(): void {
    const image = this.#pulledImage
    this.#runInside(`skopeo inspect --tls-verify=false docker://${image} || (printf 'FROM debian:bookworm AS base\\nFROM scratch\\nCOPY --from=base / /\\nRUN cp -a /usr/share /usr/share3; dpkg -l >/p\\nRUN cp -a /usr/lib /usr/lib3\\n' | docker build -q --network=none -t ${image} - && docker push -q ${image})`)
  }

  get #pulledImage(): string {
    return `${this.#options.registry}/library/debian:pulled`
  }

  /** Images of one file each; they share nothing. Our store is made once and copied then. */
  makeManyImages(count: number, tool: Tool): void {
    if (tool === 'docker') this.#runInside(`cd /tmp && for i in $(seq ${count}); do echo $i > one; tar -c one | docker import --change 'LABEL bench=prune' - bench-prune:$i; done`)
    if (tool !== 'tsbuild') return
    const full = join(this.#options.folder, `tsbuild-root-of-${count}`)
    this.#setAside()
    if (!existsSync(full)) {
      this.#importMany(count)
      renameSync(this.tsbuildRoot, full)
    }
    this.#quietly(['cp', '-a', full, this.tsbuildRoot])
  }

  #importMany(count: number): void {
    const [tsbuild = '', ...args] = this.#options.tsbuild
    const env = this.environment
    for (let number = 0; number < count; number += 1) {
      const file = join(this.#options.folder, 'one.tar')
      this.#quietly(['sh', '-c', `cd ${this.#options.folder} && echo ${number} > one && tar -cf ${file} one`])
      const { status, stderr } = spawnSync(tsbuild, [...args, 'import', file, `bench-prune:${number}`], { env, encoding: 'utf8' })
      if (status !== 0) throw new Error(`tsbuild import: ${stderr}`)
    }
  }

  pruneCommands(): Commands {
    return this.commands({ docker: ['image', 'prune', '-af', '--filter', 'label=bench=prune'], tsbuild: ['prune', '-af', '--filter', 'reference=bench-prune'] })
  }

  /** A new layer of about 110 MB in every store, and no repository that has it. */
  buildFreshLayer(): void {
    const { registry, folder } = this.#options
    writeFileSync(join(folder, 'push', 'seed'), String(Date.now()))
    this.#runInside('rm -rf /var/lib/registry/docker/registry/v2/repositories/p')
    const inside = join(this.#options.folderInside, 'push')
    this.runAll(this.commands({
      docker: ['build', '-q', '--network=none', '-t', `${registry}/p/docker:x`, inside],
      buildah: ['build', '-q', '--layers', '--network=none', '-t', `${registry}/p/buildah:x`, inside],
      tsbuild: ['build', '-q', '--network=none', '-t', `${registry}/p/tsbuild:x`, join(folder, 'push')],
    }))
  }

  #command(tool: Tool, args: readonly string[]): readonly string[] {
    return tool === 'tsbuild' ? [...this.#options.tsbuild, ...args] : [...this.#options.prefix, tool, ...args]
  }

  /** An empty script in the same Node. */
  emptyScript(): Commands {
    const script = join(this.#options.folder, 'empty.mjs')
    writeFileSync(script, '')
    return this.present.has('floor') ? { floor: [process.execPath, script] } : {}
  }

  #isPresent(tool: Tool): boolean {
    if (tool === 'tsbuild' || tool === 'floor') return true
    const probes = tool === 'skopeo+umoci' ? ['skopeo', 'umoci'] : [tool]
    return probes.every((probe) => spawnSync('sh', ['-c', `${[...this.#options.prefix, probe].join(' ')} --version`], { stdio: 'ignore' }).status === 0)
  }

  #runInside(script: string): void {
    this.#quietly([...this.#options.prefix, 'sh', '-c', script])
  }

  #quietly([file, ...args]: readonly string[]): void {
    if (file !== undefined) spawnSync(file, args, { stdio: 'ignore' })
  }

  #run([file, ...args]: readonly string[]): void {
    if (file === undefined) return
    const { status, stderr } = spawnSync(file, args, { env: this.environment, encoding: 'utf8' })
    if (status !== 0 && !args.includes('rmi')) console.error(`${[file, ...args].join(' ')}: exit code ${status ?? 'none'}: ${stderr.trim().slice(-300)}`)
  }

  #writeRegistriesConf(): string {
    const path = join(this.#options.folder, 'registries.conf')
    const { registry } = this.#options
    writeFileSync(path, `[[registry]]\nlocation = "${registry}"\ninsecure = true\n\n[[registry]]\nprefix = "docker.io"\nlocation = "${registry}"\ninsecure = true\n`)
    return path
  }
}
