import { readFileSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'
import type { Mount, Network } from '../../runtime/index.ts'

const fileMode = 0o644

/**
 * /etc/hosts and /etc/resolv.conf as a container sees them. They are mounted, so what the image has under these names
 * stays as it is and no layer holds ours.
 */
export function networkFiles(network: Network, hostname: string): Mount[] {
  return [file('/etc/hosts', hostsFile(hostname)), file('/etc/resolv.conf', network.mode === 'none' ? '' : hostResolvConf())]
}

function file(target: string, text: string): Mount {
  return { kind: 'file', target, content: Buffer.from(text), mode: fileMode, uid: 0, gid: 0 }
}

function hostsFile(hostname: string): string {
  const own = `127.0.0.1\tlocalhost ${hostname}\n`
  return `${own}::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n`
}

function hostResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  }
}
