import { setTimeout as sleep } from 'node:timers/promises'
import type { BuildOptions, BuildRequest, Engine } from '../builder/index.ts'
import { build, firstDifference, NotReproducible, reproducibilityProbes } from '../builder/index.ts'
import { createTask } from '../core/task.ts'
import type { App } from './app.ts'
import type { progressModes } from './render/create-renderer.ts'
import { createRenderer } from './render/create-renderer.ts'

export interface Verification {
  readonly engine: Engine
  readonly progress: (typeof progressModes)[number]
  readonly title: string
  readonly options: Pick<BuildOptions, 'signal' | 'command'>
}

/** Times in layers are whole seconds. */
const pauseMs = 1100

/** Builds twice and compares. @returns the request for the same from the cache @throws {NotReproducible} */
export async function verifyReproducible(request: BuildRequest, { engine, progress, title, options }: Verification, app: App): Promise<BuildRequest> {
  const [others, usual] = reproducibilityProbes(request)
  const probe = async (one: BuildRequest, turn: string): ReturnType<typeof build> => {
    const renderer = await createRenderer(app, progress, `${title}, ${turn}`)
    try {
      return await build(one, { ...options, engine, onEvent: (event) => { renderer.handle(event) } })
    } finally {
      await renderer.finish()
    }
  }
  const first = await probe(others, 'first time')
  await sleep(pauseMs, undefined, { signal: app.signal })
  const second = await probe(usual, 'second time')
  const difference = await firstDifference(engine.store, [first.descriptor, second.descriptor], createTask({ signal: app.signal }))
  if (difference !== undefined) throw new NotReproducible(difference)
  app.note('both builds made the same image')
  return { ...request, noCache: false }
}
