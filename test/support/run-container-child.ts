/**
 * A program that runs one container: `run-container-child.ts SPEC`, the spec as JSON. Tests kill it at any moment.
 * Descriptors of folders that it inherits are what a hostile parent would leave to a container.
 */
import { writeSync } from 'node:fs'
import type { ContainerSpec } from '../../runtime/index.ts'
import { runContainer } from '../../runtime/index.ts'

const spec = JSON.parse(process.argv[2] ?? '') as ContainerSpec
const exit = await runContainer(spec, { kind: 'events' }, { signal: new AbortController().signal, emit: (event) => { if (event.type === 'container-output') writeSync(event.stream === 'stdout' ? 1 : 2, event.bytes) } })
process.exitCode = exit.exitCode
