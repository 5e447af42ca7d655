import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'

const gone = 'leave it out'
const login = 'keep credentials by "tsbuild login"'
const insecure = 'say "insecure = true" of the registry in registries.conf'
const quota = 'say --cpus NUMBER, the quota divided by the period'
const volume = 'use RUN --mount=type=bind with --build-context NAME=FOLDER, or RUN --mount=type=cache'

/** Of docker, buildx, buildah and podman: what their users do here. */
export const foreignBuildOptions: Readonly<Record<string, string>> = {
  'authfile': login, 'creds': login, 'tls-verify': insecure, 'volume': volume, 'v': volume, 'cpu-period': quota, 'cpu-quota': quota,
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
