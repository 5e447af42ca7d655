/** Where two builds of the same part first. */
export interface Difference {
  /** The layer that differs, counted from 1, the base's included; undefined for the config. */
  readonly layer: number | undefined
  /** The instruction that made it. */
  readonly step: string
  readonly path: string
  /** `presence` for a path that only one has. */
  readonly field: string
  readonly first: string
  readonly second: string
}
