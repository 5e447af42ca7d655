import { describe, expect, it } from 'vitest'
import { createTask } from '../core/task.ts'
import { planBuild } from './plan-build.ts'

describe('planning a build', () => {
  it('checks the stages that are built, and resolves no image beside theirs', async () => {
    const resolved: string[] = []
    const text = 'FROM scratch AS one-default\nFROM one-${TARGETSTAGE} AS last\nCOPY a b\n'
    const bases = { resolve: (name: string) => { resolved.push(name); return Promise.reject(new Error(`there is no "${name}"`)) } }
    const plan = await planBuild({}, { context: { dockerfile: { name: 'Dockerfile', text }, ignore: undefined }, bases, platforms: [{ os: 'linux', architecture: 'amd64' }] }, createTask())
    expect({ resolved, steps: [...plan.labels.values()].map(({ stage }) => stage) }).toEqual({ resolved: [], steps: ['last'] })
  })
})
