import { defineConfig } from 'vitest/config'

/** What tests are told, and the commands they run: the rest of what we understand depends on whoever runs them. */
const told = /^TSBUILD_(?:LAYER_FORMAT|PROPERTY_RUNS|PEERS|PEERS_SHARE|COSIGN|OTHER_REGISTRY)$/u
const understood = /^(?:TSBUILD_|OTEL_|BUILDKIT_|XDG_|CONTAINERS_|(?:GITHUB_ACTIONS|SOURCE_DATE_EPOCH|TRACEPARENT|DOCKER_CONFIG|REGISTRY_AUTH_FILE|SSH_AUTH_SOCK)$)/u
for (const name of Object.keys(process.env)) if (understood.test(name) && !told.test(name)) Reflect.deleteProperty(process.env, name)
process.env['LC_ALL'] = 'C.UTF-8'
process.umask(0o022)

const exclude = ['**/node_modules/**', 'dist/**']
/** A poll says what comes, not how soon: a second is short where every processor is busy. */
const common = { exclude, expect: { poll: { timeout: 20_000 } } }

export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      { test: { name: 'unit', include: ['{core,oci,native,storage,runtime,registry-client,builder,src}/**/*.test.ts', 'test/*.test.ts'], ...common, testTimeout: 30_000 } },
      { test: { name: 'kernel', include: ['test/{kernel,contract}/**/*.test.ts'], ...common, testTimeout: 60_000, hookTimeout: 120_000 } },
      // Against erofs-utils 1.8 or later, which Debian 12 does not have.
      { test: { name: 'erofs-utils', include: ['test/erofs-utils/**/*.test.ts'], ...common, testTimeout: 60_000 } },
      // Against a second implementation of the server, which has to be built first.
      { test: { name: 'other-registry', include: ['test/other-registry/**/*.test.ts'], ...common, testTimeout: 60_000 } },
      // Debian's podman brings a hundred packages along.
      { test: { name: 'podman', include: ['test/podman/**/*.test.ts'], ...common, testTimeout: 600_000, hookTimeout: 300_000 } },
      // Against cosign, which Debian 12 does not have.
      { test: { name: 'cosign', include: ['test/cosign/**/*.test.ts'], ...common, testTimeout: 60_000, hookTimeout: 60_000 } },
      { test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], ...common, testTimeout: 180_000, hookTimeout: 300_000 } },
    ],
  },
})
