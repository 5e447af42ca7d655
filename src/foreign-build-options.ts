import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { certificates, gone, insecure, login, platform, quota } from './foreign-options.ts'

const ownNamespaces = 'a step has namespaces of its own; --allow security.insecure is for RUN --security=insecure'
const noDaemon = `there is no daemon: ${gone}; TSBUILD_ROOT names another store`
const volume = 'use RUN --mount=type=bind with --build-context NAME=FOLDER, or RUN --mount=type=cache'

/** Of docker, buildx, buildah and podman: what their users do here. */
export const foreignBuildOptions: Readonly<Record<string, string>> = {
  'authfile': login, 'creds': login, 'tls-verify': insecure, 'volume': volume, 'v': volume, 'cpu-period': quota, 'cpu-quota': quota,
  'H': noDaemon, 'host': noDaemon, 'context': noDaemon, 'tls': noDaemon, 'tlscacert': noDaemon, 'tlscert': noDaemon, 'tlskey': noDaemon, 'tlsverify': noDaemon, 'config': 'set DOCKER_CONFIG', 'root': 'set TSBUILD_ROOT', 'storage-driver': 'set TSBUILD_STORAGE_DRIVER',
  'log-level': 'see more by --progress plain', 'arch': platform, 'os': platform, 'variant': platform, 'cert-dir': certificates, 'retry': `what may pass is asked for again anyway: ${gone}`, 'retry-delay': `registries say how long to wait: ${gone}`,
  'pull-always': 'say --pull=always', 'pull-never': 'say --pull=never', 'print': 'say --call outline or --call targets', 'skip-unused-stages': `they are always skipped: ${gone}`, 'identity-label': `there is none: ${gone}`, 'unsetenv': 'say ENV NAME= in the Dockerfile', 'unsetlabel': 'say --label NAME=', 'from': 'name the base by an ARG before FROM, and --build-arg',
  'sign-by': 'sign by cosign, or by --attestation-key', 'signature-policy': 'name base images by their digest', 'decryption-key': 'encrypted layers cannot be read', 'omit-history': 'use --squash', 'rewrite-timestamp': 'use --source-date-epoch, which does that', 'created-annotation': 'use --source-date-epoch', 'cache-ttl': 'use "tsbuild prune --filter type=cache --filter until=TIME"',
  'http-proxy': 'give the variables by --build-arg, as HTTP_PROXY', 'ipc': ownNamespaces, 'pid': ownNamespaces, 'uts': ownNamespaces, 'cgroupns': ownNamespaces, 'group-add': 'use USER in the Dockerfile', 'hooks-dir': 'hooks run by --runtime alone', 'runtime-flag': 'put it into a program of your own, and name that by --runtime', 'userns-uid-map': 'use --userns', 'userns-gid-map': 'use --userns', 'policy': 'name base images by their digest, and refuse others by registries.conf',
  'builder': `there is one builder, this command: ${gone}`,
  'cgroup-parent': 'limit steps by --memory, --cpus and --pids-limit',
  'compress': `the context is not sent anywhere: ${gone}`,
  'D': 'see more by --progress plain, or stand where a step failed by --on-failure=shell',
  'debug': 'see more by --progress plain, or stand where a step failed by --on-failure=shell',
  'disable-content-trust': `images are verified by their digests, and none by Notary: ${gone}`,
  'env': 'use --build-arg NAME=VALUE with ARG, or ENV in the Dockerfile',
  'format': 'say -o type=docker,dest=PATH or type=oci,dest=PATH, and of a registry -o type=registry,oci-mediatypes=false',
  'ignorefile': 'put it beside the Dockerfile, as NAME.dockerignore',
  'label-file': 'use --label NAME=VALUE',
  'layers': `every step is cached, and --no-cache runs all: ${gone}`,
  'logfile': 'redirect standard error; "tsbuild history logs" has it as well',
  'manifest': 'give several --platform, which makes an index of the name',
  'squash-all': 'use --squash, and --squash=FIRST-LAST for a range',
  'timestamp': 'use --source-date-epoch SECONDS',
}

/** What is done anyway. */
export const impliedBuildOptions: readonly OptionSpec[] = ['rm', 'force-rm'].map((name) => ({ name, value: 'true', bare: 'true', isHidden: true, help: 'Containers of steps are always removed' }))

/** @throws {UsageError} */
export function checkImplied(options: OptionValues): void {
  for (const { name } of impliedBuildOptions) {
    const text = options.text(name)
    if (text !== undefined && text !== 'true' && text !== '1') throw new UsageError(`option --${name} is always on: --on-failure=keep keeps a step that failed`)
  }
}
