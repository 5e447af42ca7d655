/** Run in a network namespace of its own, where nothing else uses the bridge: what happens to it, as JSON. */
import { execFileSync } from 'node:child_process'
import { leaseBridgePort, removeBridge } from '../../runtime/index.ts'

const links = (): string[] => execFileSync('ip', ['-o', 'link', 'show'], { encoding: 'utf8' }).trim().split('\n').map((line) => line.split(': ')[1]?.split('@')[0] ?? '')
const rules = (): string => execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).replaceAll(/\s+/gu, ' ').trim()

const subnet = '10.99.7.0/29'
const leases = []
for (let count = 0; count < 5; count += 1) leases.push(await leaseBridgePort({ subnet, isIsolated: true }))
const addresses = leases.map(({ port }) => port.address).sort()
const full = await leaseBridgePort({ subnet, isIsolated: true }).catch((error: unknown) => (error as { code?: string }).code)
const other = await leaseBridgePort({ subnet: '10.98.0.0/24', isIsolated: true }).catch((error: unknown) => (error as { code?: string }).code)
const inUse = { links: links(), rules: rules(), address: execFileSync('ip', ['-o', '-4', 'addr', 'show', 'tsbuild0'], { encoding: 'utf8' }).split(/\s+/u)[3], removed: await removeBridge() }
for (const lease of leases) lease[Symbol.dispose]()
const removed = await removeBridge()
process.stdout.write(JSON.stringify({ addresses, full, other, inUse, removed, after: { links: links(), rules: rules() }, again: await removeBridge() }))
