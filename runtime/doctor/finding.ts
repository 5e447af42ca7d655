/** One thing a host offers or lacks. */
export interface HostFinding {
  /** Stable, for scripts: `overlay`, `cgroup-memory`. */
  readonly name: string
  /** `missing`: something that can be asked for would be refused. `broken`: no build runs here. */
  readonly state: 'offered' | 'missing' | 'broken'
  readonly detail: string
  /** What to do about it. */
  readonly remedy?: string
}

export function offered(name: string, detail: string): HostFinding {
  return { name, state: 'offered', detail }
}

export function missing(name: string, detail: string, remedy: string): HostFinding {
  return { name, state: 'missing', detail, remedy }
}

export function broken(name: string, detail: string, remedy: string): HostFinding {
  return { name, state: 'broken', detail, remedy }
}
