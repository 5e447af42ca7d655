import type { RunConfig } from '../../oci/image-config.ts'
import type { Platform } from '../../oci/platform.ts'
import type { GlobalScope } from '../dockerfile/arg-scope.ts'
import { StageScope } from '../dockerfile/arg-scope.ts'
import type { Place } from '../dockerfile/errors.ts'
import type { BaseImage } from './base-images.ts'
import type { NodeId, PlannedBase, PlannedHistory, PlannedImage } from './plan.ts'

export const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A step of the stage, still without its number. */
export interface StageStep {
  readonly node: NodeId
  readonly source: string
  readonly place: Place
}

/** What a stage has come to after some of its instructions. One instruction makes the next state of this one. */
export interface StageState {
  readonly rootfs: NodeId | undefined
  readonly platform: Platform
  readonly author: string | undefined
  readonly config: RunConfig
  readonly base: PlannedBase | undefined
  /** These two grow in place: a copy for each instruction of a long file costs more than all the rest. */
  readonly history: PlannedHistory[]
  readonly steps: StageStep[]
  /** Whether this stage itself has a CMD, which ENTRYPOINT then leaves alone. */
  readonly hasOwnCmd: boolean
  /** The variables; changed in place by ARG and ENV. */
  readonly scope: StageScope
}

export function scratchState(global: GlobalScope, platform: Platform): StageState {
  const config: RunConfig = { Env: [defaultPath], WorkingDir: '/' }
  return { rootfs: undefined, platform, author: undefined, config, base: undefined, history: [], steps: [], hasOwnCmd: false, scope: new StageScope(global, config.Env ?? []) }
}

/** A stage that begins with an image. Its triggers are the caller's to run; they are not inherited. */
export function imageState(image: BaseImage, options: { readonly global: GlobalScope; readonly platform: Platform; readonly rootfs: NodeId | undefined }): StageState {
  const { OnBuild: _, ...config } = image.config.config ?? {}
  const env = config.Env ?? []
  const complete = env.some((entry) => entry.startsWith('PATH=')) ? env : [...env, defaultPath]
  return {
    rootfs: options.rootfs,
    platform: options.platform,
    author: image.config.author,
    config: { ...config, Env: complete },
    base: {
      name: image.name,
      diffIds: image.config.rootfs.diff_ids,
      layers: image.layers,
      history: image.config.history ?? [],
      created: image.config.created,
    },
    history: [],
    steps: [],
    hasOwnCmd: false,
    scope: new StageScope(options.global, complete),
  }
}

/** A stage that begins where another one ended. */
export function derivedState(parent: StageState, global: GlobalScope): StageState {
  const { OnBuild: _, ...config } = parent.config
  return { ...parent, config, history: [...parent.history], steps: [], hasOwnCmd: false, scope: new StageScope(global, config.Env ?? [], parent.scope) }
}

/** Notes what an instruction did that made no layer. */
export function noteConfig(state: StageState, createdBy: string): void {
  state.history.push({ createdBy, comment: undefined, node: undefined })
}

export function plannedImage(state: StageState): PlannedImage {
  const { rootfs, platform, author, config, base, history } = state
  return { rootfs, platform, author, config, base, history }
}
