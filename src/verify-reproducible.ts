import { setTimeout as sleep } from 'node:timers/promises'
import type { BuildOptions, BuildRequest, Engine } from '../builder/index.ts'
import { build, firstDifference, NotReproducible, openElsewhere, reproducibilityProbes } from '../builder/index.ts'
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

/** The second is for whoever's usual one is the first. */
const otherUmasks = [0o077, 0o022] as const

/** Builds twice and compares. @returns the request for the same from the cache @throws {NotReproducible} */
export async function verifyReproducible(request: BuildRequest, { engine, progress, title, options }: Verification, app: App): Promise<BuildRequest> {
  const [others, usual] = reproducibilityProbes(request)
  const probe = async (one: BuildRequest, at: Engine, turn: string): ReturnType<typeof build> => {
    const renderer = await createRenderer(app, progress, `${title}, ${turn}`)
    try {
      return await build(one, { ...options, engine: at, onEvent: (event) => { renderer.handle(event) } })
    } finally {
      await renderer.finish()
    }
  }
  await using elsewhere = await openElsewhere(engine)
  if (!elsewhere.ordersDirectoriesOtherwise) app.note('both times RUN steps see directories in the order of the same filesystem: no EROFS can be mounted for them')
  const first = await underAnotherUmask(() => probe(others, elsewhere, 'first time'))
  await sleep(pauseMs, undefined, { signal: app.signal })
  const second = await probe(usual, engine, 'second time')
  const difference = await firstDifference([{ store: elsewhere.store, descriptor: first.descriptor }, { store: engine.store, descriptor: second.descriptor }], createTask({ signal: app.signal }))
  if (difference !== undefined) throw new NotReproducible(difference)
  app.note('both builds made the same image')
  return { ...request, noCache: false }
}

async function underAnotherUmask<T>(work: () => Promise<T>): Promise<T> {
  const [other, another] = otherUmasks
  const usual = process.umask(other)
  if (usual === other) process.umask(another)
  try {
    return await work()
  } finally {
    process.umask(usual)
  }
}
