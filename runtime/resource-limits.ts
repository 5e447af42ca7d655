import type { Ulimit } from './container-spec.ts'
import type { HostSupport } from './host-support.ts'
import { unlimited } from './host-support.ts'

export interface ResourceLimit {
  /** @see setrlimit(2) */
  readonly resource: number
  readonly soft: bigint
  readonly hard: bigint
}

/** By number. */
export const resourceNames: readonly string[] = [
  'cpu', 'fsize', 'data', 'stack', 'core', 'rss', 'nproc', 'nofile', 'memlock', 'as', 'locks', 'sigpending', 'msgqueue', 'nice', 'rtprio', 'rttime',
]

export function resourceNumber(name: string): number | undefined {
  const number = resourceNames.indexOf(name)
  return number < 0 ? undefined : number
}

/**
 * The same for every container, whatever we were started with; only a lower hard limit of ours cannot be exceeded. What
 * is asked for by name is passed on as it is, and the kernel refuses what we may not give.
 */
export function resourceLimits(host: HostSupport, ulimits: readonly Ulimit[]): ResourceLimit[] {
  const asked = ulimits.map(({ name, soft, hard }): ResourceLimit => ({ resource: resourceNumber(name) ?? 0, soft: toValue(soft), hard: toValue(hard) }))
  let usual = usualLimits.get(host)
  if (usual === undefined) usualLimits.set(host, usual = defaults(host))
  return [...usual.filter(({ resource }) => !asked.some((ulimit) => ulimit.resource === resource)), ...asked]
}

const usualLimits = new WeakMap<HostSupport, readonly ResourceLimit[]>()

function toValue(limit: number): bigint {
  return limit === -1 ? unlimited : BigInt(limit)
}

function defaults(host: HostSupport): ResourceLimit[] {
  const wanted: readonly (readonly [resource: number, soft: bigint, hard: bigint])[] = [
    [0, unlimited, unlimited], [1, unlimited, unlimited], [2, unlimited, unlimited], [3, 8n * 1024n * 1024n, unlimited], [4, 0n, unlimited],
    [5, unlimited, unlimited], [6, unlimited, unlimited], [7, 1024n, 524_288n], [8, 8n * 1024n * 1024n, 8n * 1024n * 1024n],
    [9, unlimited, unlimited], [10, unlimited, unlimited], [12, 819_200n, 819_200n], [13, 0n, 0n], [14, 0n, 0n], [15, unlimited, unlimited],
  ]
  return wanted.map(([resource, soft, hard]) => {
    const most = host.hardLimits[resource] ?? hard
    return { resource, soft: soft < most ? soft : most, hard: hard < most ? hard : most }
  })
}
