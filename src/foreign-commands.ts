const oneBuilder = 'there is one builder, this command, and nothing to set up'
const notKept = 'what a container changed goes with its end; make images by "tsbuild build"'
const noVolumes = 'there are no named volumes; name a folder of the host by -v, or a cache by RUN --mount=type=cache'
const oneMachine = 'it is for one machine; a cluster runs what "tsbuild push" gives it'
const noDaemon = 'there is no daemon to be told; TSBUILD_ROOT names another store'
const again = 'a container that has ended is gone; run it again by "tsbuild run"'

/** Commands of docker, podman, buildah and skopeo that are not here, also behind a word such as `buildx`: what to do instead. */
export const foreignCommands: Readonly<Record<string, string>> = {
  'attach': 'see its output by "tsbuild logs -f", and run commands in it by "tsbuild exec -it"',
  'bake': 'say "tsbuild build" once for each target',
  'bud': 'say "tsbuild build"',
  'commit': notKept,
  'compose': 'run each service by "tsbuild run -d", sharing networks by --network container:NAME',
  'config': 'say ENV, CMD and so on in a Dockerfile',
  'context': noDaemon,
  'cp': 'say "tsbuild exec NAME tar -c PATH", or mount a folder by -v; of an image "tsbuild export"',
  'create': again,
  'dial-stdio': noDaemon,
  'diff': 'of an image "tsbuild layer ls" and "tsbuild layer diff"',
  'events': 'builds have --progress json, and containers "tsbuild ps --json"',
  'exists': 'look at the exit code of "tsbuild inspect"',
  'from': 'name the base by FROM in a Dockerfile',
  'generate': oneMachine,
  'healthcheck': 'run the check by "tsbuild exec"',
  'info': 'see "tsbuild doctor", "tsbuild store" and "tsbuild df"',
  'install': oneBuilder,
  'kube': oneMachine,
  'machine': 'it runs where it is called',
  'network': 'networks are made with containers, and go with them; see --network of "tsbuild run"',
  'node': oneMachine,
  'pause': 'stop its processes by "tsbuild kill -s STOP NAME", and -s CONT lets them go on',
  'plugin': 'there are no plugins',
  'pod': 'share namespaces by --network container:NAME, --ipc and --pid of "tsbuild run"',
  'port': `see "tsbuild inspect -f '{{json .Ports}}' NAME"`,
  'rename': 'give the name by --name of "tsbuild run"',
  'restart': again,
  'scp': 'pipe "tsbuild save NAME" through ssh to "tsbuild load"',
  'search': 'list what a registry has by "tsbuild tags --catalog REGISTRY", the tags of a name by "tsbuild tags NAME"',
  'secret': 'name secrets by --secret of "tsbuild build"',
  'service': oneMachine,
  'sign': 'sign by cosign, or a build by "tsbuild build --attestation-key"',
  'stack': oneMachine,
  'start': again,
  'stats': 'a build shows the usage of each step, "tsbuild history show" keeps it; of a container look at its cgroup',
  'swarm': oneMachine,
  'top': 'say "tsbuild exec NAME ps"',
  'tree': 'see "tsbuild layer ls" and "tsbuild history"',
  'trust': 'name images by their digest; sign by cosign, or a build by "tsbuild build --attestation-key"',
  'umount': 'say umount DIRECTORY',
  'unmount': 'say umount DIRECTORY',
  'unpause': 'let its processes go on by "tsbuild kill -s CONT NAME"',
  'unshare': 'a plain user\'s commands enter a user namespace by themselves',
  'untag': 'say "tsbuild rmi NAME", which leaves an image that has another name',
  'update': 'limits are given to "tsbuild run"',
  'use': oneBuilder,
  'volume': noVolumes,
}

/** Behind `buildx` alone: of containers these words mean something else. */
export const foreignBuilderCommands: Readonly<Record<string, string>> = {
  ...foreignCommands, 'create': oneBuilder, 'inspect': oneBuilder, 'ls': oneBuilder, 'rm': oneBuilder, 'stop': oneBuilder, 'uninstall': oneBuilder, 'dap': 'stand where a step failed by --on-failure=shell', 'debug': 'stand where a step failed by --on-failure=shell',
}
