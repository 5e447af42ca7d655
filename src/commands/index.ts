import type { CommandSpec } from '../command.ts'

export interface CommandEntry {
  readonly name: string
  /** The line in the list of commands. */
  readonly summary: string
  readonly load: () => Promise<CommandSpec>
  /** Only tsbuild itself calls it, so no list has it. */
  readonly isInternal?: boolean
  /** It touches no layers, so a plain user needs no user namespace for it. */
  readonly runsAsCaller?: boolean
}

/** Each command is loaded when it is called, so that none pays for the others' start. */
export const commands: readonly CommandEntry[] = [
  { name: 'build', summary: 'Build an image from a Dockerfile', load: async () => (await import('./build.ts')).buildCommand },
  { name: 'run', summary: 'Run a command in a container of an image', load: async () => (await import('./run.ts')).runCommand },
  { name: 'ps', summary: 'List detached containers', load: async () => (await import('./ps.ts')).psCommand, runsAsCaller: true },
  { name: 'exec', summary: 'Run one more command in a detached container', load: async () => (await import('./exec.ts')).execCommand },
  { name: 'logs', summary: 'Print what a detached container has written', load: async () => (await import('./logs.ts')).logsCommand, runsAsCaller: true },
  { name: 'stop', summary: 'End detached containers', load: async () => (await import('./stop.ts')).stopCommand, runsAsCaller: true },
  { name: 'kill', summary: 'Send a signal to detached containers', load: async () => (await import('./kill.ts')).killCommand, runsAsCaller: true },
  { name: 'wait', summary: 'Wait until detached containers have ended', load: async () => (await import('./wait.ts')).waitCommand, runsAsCaller: true },
  { name: 'rm', summary: 'Forget detached containers that have ended', load: async () => (await import('./rm.ts')).rmCommand, runsAsCaller: true },
  { name: 'doctor', summary: 'Say what this host offers and lacks', load: async () => (await import('./doctor.ts')).doctorCommand, runsAsCaller: true },
  { name: 'system', summary: 'Remove what was left on this host', load: async () => (await import('./system.ts')).systemCommand },
  { name: 'oci-runtime', summary: 'Run bundles as other engines ask for: create, start, run, exec, state, kill, delete', load: async () => (await import('./oci-runtime.ts')).ociRuntimeCommand, runsAsCaller: true },
  { name: 'supervise', summary: 'Keep a detached container; run -d calls this', load: async () => (await import('./supervise.ts')).superviseCommand, isInternal: true },
  { name: 'pull', summary: 'Download an image from a registry', load: async () => (await import('./pull.ts')).pullCommand },
  { name: 'push', summary: 'Upload an image to a registry', load: async () => (await import('./push.ts')).pushCommand },
  { name: 'copy', summary: 'Copy an image between registries, layouts, archives and the store', load: async () => (await import('./copy.ts')).copyCommand },
  { name: 'sync', summary: 'Copy every image of a list', load: async () => (await import('./sync.ts')).syncCommand },
  { name: 'login', summary: 'Log in to a registry', load: async () => (await import('./login.ts')).loginCommand, runsAsCaller: true },
  { name: 'logout', summary: 'Forget the credentials of a registry', load: async () => (await import('./logout.ts')).logoutCommand, runsAsCaller: true },
  { name: 'tags', summary: 'List the tags of a repository in its registry', load: async () => (await import('./tags.ts')).tagsCommand },
  { name: 'referrers', summary: 'List what refers to an image in its registry', load: async () => (await import('./referrers.ts')).referrersCommand },
  { name: 'delete', summary: 'Delete an image from its registry', load: async () => (await import('./delete.ts')).deleteCommand },
  { name: 'images', summary: 'List images', load: async () => (await import('./images.ts')).imagesCommand },
  { name: 'tag', summary: 'Give an image another name', load: async () => (await import('./tag.ts')).tagCommand },
  { name: 'rmi', summary: 'Remove images', load: async () => (await import('./rmi.ts')).rmiCommand },
  { name: 'inspect', summary: 'Show an image in detail', load: async () => (await import('./inspect.ts')).inspectCommand },
  { name: 'history', summary: 'Show the steps an image was made by', load: async () => (await import('./history.ts')).historyCommand },
  { name: 'report', summary: 'Write a page about a build or an image', load: async () => (await import('./report.ts')).reportCommand },
  { name: 'debug', summary: 'Stand where a step of a build failed', load: async () => (await import('./debug.ts')).debugCommand },
  { name: 'save', summary: 'Write images to an archive', load: async () => (await import('./save.ts')).saveCommand },
  { name: 'load', summary: 'Read images from an archive', load: async () => (await import('./load.ts')).loadCommand },
  { name: 'import', summary: 'Make an image of a root filesystem tar', load: async () => (await import('./import.ts')).importCommand },
  { name: 'export', summary: 'Write the root filesystem of an image', load: async () => (await import('./export.ts')).exportCommand },
  { name: 'mount', summary: 'Show an image read-only at a directory', load: async () => (await import('./mount.ts')).mountCommand },
  { name: 'store', summary: 'Say or change how layers are kept', load: async () => (await import('./store.ts')).storeCommand },
  { name: 'layer', summary: 'Look into the layers of an image: list, compare, explain, find waste', load: async () => (await import('./layer.ts')).layerCommand },
  { name: 'df', summary: 'Show what the store takes, in bytes and inodes', load: async () => (await import('./df.ts')).dfCommand },
  { name: 'cache', summary: 'Look after cache mounts: list, inspect, remove, export, import', load: async () => (await import('./cache.ts')).cacheCommand },
  { name: 'prune', summary: 'Remove images without a name and stale cache entries', load: async () => (await import('./prune.ts')).pruneCommand },
  { name: 'gc', summary: 'Remove what nothing uses, by policies', load: async () => (await import('./gc.ts')).gcCommand },
  { name: 'fsck', summary: 'Check the store, and repair it', load: async () => (await import('./fsck.ts')).fsckCommand },
  { name: 'completion', summary: 'Print what makes a shell complete command lines', load: async () => (await import('./completion.ts')).completionCommand, runsAsCaller: true },
]
