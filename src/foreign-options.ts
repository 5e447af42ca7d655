type Remedies = Readonly<Record<string, string>>

export const gone = 'leave it out'
export const login = 'keep credentials by "tsbuild login"'
export const insecure = 'say "insecure = true" of the registry in registries.conf'
export const certificates = 'put them into /etc/docker/certs.d/HOST:PORT or /etc/containers/certs.d/HOST:PORT'
export const quota = 'say --cpus NUMBER, the quota divided by the period'
const addresses = 'the bridge gives out addresses; a port of the host leads to a container by -p'
const unwatched = 'nothing watches the health of a container; ask it by "tsbuild exec"'
const kept = 'what a detached container writes is kept for "tsbuild logs"'
const notary = `images are verified by their digests, and none by Notary: ${gone}`
export const platform = 'say --platform OS/ARCH[/VARIANT]'
const signing = 'sign by cosign, or a build by "tsbuild build --attestation-key"'
const noVolumes = 'there are no named volumes; name a folder of the host by -v'

/** Of every command that talks to registries. */
const transferring: Remedies = {
  'authfile': login, 'creds': login, 'tls-verify': insecure, 'cert-dir': certificates, 'disable-content-trust': notary, 'signature-policy': 'signatures are not checked; name images by their digest',
  'retry': `what may pass is asked for again anyway: ${gone}`, 'retry-delay': `registries say how long to wait: ${gone}`, 'sign-by': signing, 'decryption-key': 'encrypted layers cannot be read',
}
const pulling: Remedies = { ...transferring, arch: platform, os: platform, variant: platform }

/** Of docker and podman, by the commands here: what their users do instead. */
export const foreignOptions = {
  run: {
    ...pulling,
    'a': 'output comes through anyway, and -i passes input on', 'attach': 'output comes through anyway, and -i passes input on', 'annotation': 'use --label with -d', 'blkio-weight-device': 'say --blkio-weight, for all disks',
    'cgroup-parent': 'limit it by --memory, --cpus and --pids-limit', 'cpu-period': quota, 'cpu-quota': quota, 'cpu-rt-period': quota, 'cpu-rt-runtime': quota, 'detach-keys': 'nothing detaches from a container in the foreground; use -d', 'device-cgroup-rule': 'name devices by --device',
    'env-host': 'pass variables on one by one, as -e NAME', 'expose': 'a container can be reached at its address anyway; publish a port by -p', 'gpus': 'name the device nodes by --device',
    'health-cmd': unwatched, 'health-interval': unwatched, 'health-retries': unwatched, 'health-start-period': unwatched, 'health-start-interval': unwatched, 'health-timeout': unwatched,
    'ip': addresses, 'ip6': addresses, 'mac-address': addresses, 'link': addresses, 'link-local-ip': addresses, 'network-alias': 'name other containers\' addresses by --add-host', 'kernel-memory': 'say --memory, which counts the kernel\'s as well', 'label-file': 'use --label NAME=VALUE',
    'log-driver': kept, 'log-opt': kept, 'oom-kill-disable': 'say --oom-score-adj, or leave --memory out', 'P': 'name the ports: -p HOST:CONTAINER', 'publish-all': 'name the ports: -p HOST:CONTAINER', 'pod': 'share namespaces by --network container:NAME, --ipc and --pid', 'replace': '"tsbuild rm -f NAME" before it',
    'restart': 'no service keeps containers; let systemd run it, with Restart= and without -d', 'rootfs': 'make an image of it by "tsbuild import"', 'secret': 'mount its file by -v FILE:/run/secrets/NAME:ro', 'sig-proxy': `signals are passed on anyway: ${gone}`, 'stop-timeout': 'say it when it ends: tsbuild stop -t SECONDS',
    'storage-opt': 'limit it by a filesystem with a quota, or --tmpfs with size=', 'systemd': `its mounts are those that systemd needs only with -v and --tmpfs: ${gone}`, 'timeout': 'put "timeout SECONDS" before the command', 'tz': 'say -e TZ=NAME', 'use-api-socket': 'there is no daemon to be reached by a socket',
    'volume-driver': noVolumes, 'volumes-from': 'name its folders by -v', 'no-hosts': `/etc/hosts is made anyway: ${gone}`, 'cidenv': 'say --cidfile FILE',
  },
  exec: { 'd': 'put it into the background: sh -c "COMMAND &"', 'detach': 'put it into the background: sh -c "COMMAND &"', 'detach-keys': 'end it by Ctrl-C', 'privileged': 'a further command has the privileges of the container: run that by "tsbuild run --privileged"' },
  logs: { details: 'there are no log drivers with details', color: 'pipe it to what colours', names: `one container has no need of it: ${gone}`, l: 'name the container as "tsbuild ps -l -q" does', latest: 'name the container as "tsbuild ps -l -q" does' },
  ps: { s: 'what a container changed is not counted; "tsbuild df" has all that run', size: 'what a container changed is not counted; "tsbuild df" has all that run' },
  stop: { a: 'name them: tsbuild stop $(tsbuild ps -q)', all: 'name them: tsbuild stop $(tsbuild ps -q)', i: 'each name is tried anyway; look at the exit code', ignore: 'each name is tried anyway; look at the exit code' },
  rm: { l: 'there are no links between containers', link: 'there are no links between containers', a: 'name them: tsbuild rm $(tsbuild ps -a -q)', all: 'name them: tsbuild rm $(tsbuild ps -a -q)' },
  pull: { ...pulling, 'a': 'pull each of "tsbuild tags NAME"', 'all-tags': 'pull each of "tsbuild tags NAME"', 'policy': 'it always asks the registry, and fetches what is missing' },
  push: {
    ...transferring, 'platform': 'copy one: tsbuild copy --platform OS/ARCH tsbuild:NAME docker://NAME', 'remove-signatures': `none are stored: ${gone}`, 'digestfile': 'write it down: tsbuild push -q NAME >FILE', 'all': `every platform of an index is pushed: ${gone}`,
  },
  images: { tree: 'see "tsbuild inspect" for the platforms of an image', sort: 'pipe it to sort', n: 'use --format', noheading: 'use --format', history: 'see "tsbuild history"' },
  history: { H: 'use --format or --json', human: 'use --format or --json', platform: 'see the layers of others, with their steps, by "tsbuild layer ls --platform"' },
  inspect: { s: 'Size and Inodes are there anyway', size: 'Size and Inodes are there anyway', l: 'name the container as "tsbuild ps -l -q" does', latest: 'name the container as "tsbuild ps -l -q" does' },
  rmi: { 'no-prune': 'layers go as soon as nothing uses them', 'platform': 'build or pull the index again with the platforms wanted', 'a': 'say tsbuild prune -a', 'all': 'say tsbuild prune -a', 'i': 'say --force', 'ignore': 'say --force' },
  save: { 'platform': 'copy one: tsbuild copy --platform OS/ARCH tsbuild:NAME oci-archive:FILE:NAME', 'compress': `layers of an OCI archive are compressed: ${gone}`, 'uncompressed': 'say --format docker-archive', 'q': `nothing is printed: ${gone}`, 'quiet': `nothing is printed: ${gone}`, 'm': `several images may be in every archive: ${gone}`, 'multi-image-archive': `several images may be in every archive: ${gone}`, 'signature-policy': gone },
  df: { format: 'use --json' },
  prune: {
    'keep-storage': 'say --max-bytes SIZE, which counts images as well', 'reserved-space': 'say --max-bytes SIZE, which counts images as well', 'max-used-space': 'say --max-bytes SIZE, which counts images as well', 'min-free-space': 'say --min-free-bytes SIZE', 'verbose': 'see "tsbuild df -v"', 'v': 'see "tsbuild df -v"', 'volumes': 'choose cache mounts by --filter type=mount', 'builder': `there is one builder, this command: ${gone}`, 'external': 'containers of others are not touched', 'build': 'say --filter type=cache',
  },
  system: {
    a: 'remove images and cache by "tsbuild prune -a"', all: 'remove images and cache by "tsbuild prune -a"', filter: 'choose images and cache by "tsbuild prune --filter"', volumes: 'choose cache mounts by "tsbuild prune --filter type=mount"', external: 'containers of others are not touched',
  },
  login: { ...transferring, 'get-login': 'the file is $DOCKER_CONFIG/config.json', 'v': gone, 'secret': 'use --password-stdin', 'compat-auth-file': 'set DOCKER_CONFIG or REGISTRY_AUTH_FILE' },
  logout: { a: 'name the registries', all: 'name the registries', authfile: 'set DOCKER_CONFIG or REGISTRY_AUTH_FILE' },
} as const satisfies Readonly<Record<string, Remedies>>
