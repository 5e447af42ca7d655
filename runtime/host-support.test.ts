import { release } from 'node:os'
import { describe, expect, it } from 'vitest'
import { isKernelAtLeast, probeHost, unlimited } from './host-support.ts'

describe('probeHost', () => {
  const host = probeHost()

  it('knows the kernel', () => {
    expect(host.kernel.release).toBe(release())
    expect(isKernelAtLeast(host, 4, 18)).toBe(true)
    expect(isKernelAtLeast(host, host.kernel.major, host.kernel.minor)).toBe(true)
    expect(isKernelAtLeast(host, host.kernel.major, host.kernel.minor + 1)).toBe(false)
    expect(isKernelAtLeast(host, host.kernel.major + 1, 0)).toBe(false)
  })

  it('offers a controller exactly where a hierarchy has it, and else says why not', () => {
    for (const controller of ['memory', 'pids', 'cpu'] as const) {
      const support = host.controllers[controller]
      expect(support.isOffered).toBe(host.hierarchies.some((hierarchy) => hierarchy.controllers.includes(controller)))
      expect(support.isOffered || support.reason.length > 0).toBe(true)
    }
  })

  it('reads sixteen hard limits, the number of open files not the least of them', () => {
    expect(host.hardLimits.length).toBe(16)
    expect(host.hardLimits[7]).toBeGreaterThan(100n)
    expect(host.hardLimits.every((limit) => limit >= 0n && limit <= unlimited)).toBe(true)
  })
})
