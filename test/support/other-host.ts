/** A network namespace with a cable to this host: what comes from it comes from another machine. */
import { execFileSync, spawn } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

export interface OtherHost extends Disposable {
  /** This host's address on the cable. */
  readonly address: string
  /** Asks a port of this host until it answers, as `askByUdp`. */
  readonly askByUdp: (port: number, question: string) => string
}

const script = `const { askByUdp } = await import(process.argv[1])
process.stdout.write(await askByUdp(process.argv[2], Number(process.argv[3]), process.argv[4]))`

/** Needs root. */
export async function connectOtherHost(): Promise<OtherHost> {
  const name = `tsbt${process.pid % 1_000_000}`
  const net = `198.18.${process.pid % 256}`
  const address = `${net}.1`
  const holder = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' })
  const namespace = `/proc/${holder.pid ?? 0}/ns/net`
  while (readlinkSync(namespace) === readlinkSync('/proc/self/ns/net')) await setTimeout(10)
  const inside = (...args: readonly string[]): string => execFileSync('nsenter', [`--net=${namespace}`, ...args], { encoding: 'utf8' })
  execFileSync('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid)])
  execFileSync('ip', ['addr', 'add', `${address}/30`, 'dev', name])
  execFileSync('ip', ['link', 'set', name, 'up'])
  inside('ip', 'addr', 'add', `${net}.2/30`, 'dev', 'eth0')
  inside('ip', 'link', 'set', 'eth0', 'up')
  return {
    address,
    askByUdp: (port, question) => inside(process.execPath, '--input-type=module', '-e', script, join(import.meta.dirname, 'ask-by-udp.ts'), address, String(port), question),
    [Symbol.dispose]: () => {
      execFileSync('ip', ['link', 'del', name])
      holder.kill('SIGKILL')
    },
  }
}
