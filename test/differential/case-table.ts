import type { Case } from './cases.ts'

export type Details = Omit<Case, 'name' | 'dockerfile'>

/** Cases by name; the lines of each stand after `FROM busybox` unless they have a FROM of their own. */
export function onBusybox(table: Readonly<Record<string, string | readonly [lines: string, details: Details]>>): Case[] {
  return Object.entries(table).map(([name, value]) => {
    const [lines, details] = typeof value === 'string' ? [value, {}] : value
    return { name, dockerfile: /^(?:#|ARG|\s)*FROM /imu.test(lines) ? `${lines}\n` : `FROM busybox\n${lines}\n`, ...details }
  })
}
