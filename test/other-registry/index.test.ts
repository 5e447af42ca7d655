/**
 * Against the registry of go-containerregistry, as `testdata/other-registry/main.go` serves it; TSBUILD_OTHER_REGISTRY names the program. Debian has
 * its source from release 13 on: `apt-get install golang-go golang-github-google-go-containerregistry-dev`, then
 * `GO111MODULE=off GOPATH=/usr/share/gocode go build -o PROGRAM testdata/other-registry/main.go`.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { describe } from 'vitest'
import type { DistributionServer } from '../contract/distribution.ts'
import { testDistribution } from '../contract/distribution.ts'

async function startOtherRegistry(): ReturnType<DistributionServer['start']> {
  const program = process.env['TSBUILD_OTHER_REGISTRY']
  if (program === undefined) throw new Error('TSBUILD_OTHER_REGISTRY has to name the program; how to build it stands in test/other-registry/index.test.ts')
  const server = spawn(program, { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => { server.on('close', () => { resolve() }) })
  for await (const line of createInterface(server.stdout)) {
    const host = /^listening on (.+)$/u.exec(line)?.[1]
    if (host !== undefined) return { host, [Symbol.asyncDispose]: async () => { server.kill(); await ended } }
  }
  throw new Error(`${program} did not say where it listens`)
}

describe('the registry of go-containerregistry', () => {
  testDistribution({ start: startOtherRegistry, deletesTags: true, checksManifests: false, knowsRepositories: true, sharesBlobs: true, listsArtifactTypes: false })
})
