import { BlockList, isIP } from 'node:net'

/**
 * How far an address reaches: into the world, into a private network, into this machine, or to its direct neighbours,
 * where clouds keep the services that give out a machine's own credentials.
 */
export type AddressClass = 'public' | 'private' | 'loopback' | 'link-local'

type Subnet = readonly [network: string, prefix: number, family: 'ipv4' | 'ipv6']

const isLinkLocal = within([
  ['169.254.0.0', 16, 'ipv4'], ['fe80::', 10, 'ipv6'],
  // Metadata services outside the link-local range.
  ['100.100.100.200', 32, 'ipv4'], ['168.63.129.16', 32, 'ipv4'], ['192.0.0.192', 32, 'ipv4'], ['fd00:ec2::254', 128, 'ipv6'],
  // Multicast, broadcast and reserved: nothing a registry could be.
  ['224.0.0.0', 3, 'ipv4'], ['ff00::', 8, 'ipv6'],
])
// Linux connects 0.0.0.0 and :: to itself.
const isLoopback = within([['127.0.0.0', 8, 'ipv4'], ['0.0.0.0', 8, 'ipv4'], ['::1', 128, 'ipv6'], ['::', 128, 'ipv6']])
const isPrivate = within([
  ['10.0.0.0', 8, 'ipv4'], ['172.16.0.0', 12, 'ipv4'], ['192.168.0.0', 16, 'ipv4'], ['100.64.0.0', 10, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'], ['198.18.0.0', 15, 'ipv4'], ['fc00::', 7, 'ipv6'], ['fec0::', 10, 'ipv6'],
])

/** Made when it is wanted: most commands ask about no address, and node:net takes its time to load. */
function within(subnets: readonly Subnet[]): (address: string, family: 'ipv4' | 'ipv6') => boolean {
  let list: BlockList | undefined
  return (address, family) => {
    list ??= blockList(subnets)
    return list.check(address, family)
  }
}

function blockList(subnets: readonly Subnet[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) list.addSubnet(...subnet)
  return list
}

/** Takes an IPv4 or IPv6 address as Node prints it, IPv6 with or without brackets and zone. */
export function classifyAddress(text: string): AddressClass {
  const address = text.replace(/^\[|\]$/gu, '').replace(/%.*$/u, '')
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  const embedded = family === 'ipv6' ? embeddedAddress(address) : undefined
  if (embedded !== undefined) return classifyAddress(embedded)
  if (isLinkLocal(address, family)) return 'link-local'
  if (isLoopback(address, family)) return 'loopback'
  return isPrivate(address, family) ? 'private' : 'public'
}

/** The IPv4 address inside an IPv6 one of a translation range: NAT64 (64:ff9b::/96) or 6to4 (2002::/16). */
function embeddedAddress(address: string): string | undefined {
  const groups = expandGroups(address)
  if (groups[0] === 0x2002) return dotted(groups[1], groups[2])
  const isNat64 = groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0)
  return isNat64 ? dotted(groups[6], groups[7]) : undefined
}

function expandGroups(address: string): number[] {
  // The URL parser writes every IPv6 address in one way: hexadecimal groups, the longest run of zeros as "::".
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const parse = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  const before = parse(head)
  const after = tail === undefined ? [] : parse(tail)
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
}

function dotted(high = 0, low = 0): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/**
 * Whether a registry at `home` may send us to `target`. The world is open to all; inner networks only to a registry that
 * is in one itself, so that a public registry cannot make us knock on doors only we can reach.
 */
export function mayLeadTo(target: AddressClass, home: AddressClass): boolean {
  switch (target) {
    case 'public': return true
    case 'private': return home !== 'public'
    case 'loopback': return home === 'loopback'
    case 'link-local': return home === 'link-local'
  }
}
