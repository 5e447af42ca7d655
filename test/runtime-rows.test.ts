/**
 * What the runtime promises, and what it has to withstand, each with the tests that fail when it does not. A row without a test, or with
 * one that is not there any more, fails here.
 */
import { describe, expect, it } from 'vitest'
import type { NamedTest } from './support/named-tests.ts'
import { missingTests } from './support/named-tests.ts'

type Rows = Readonly<Record<string, readonly NamedTest[]>>

const kernel = (file: string, title: string): NamedTest => [`test/kernel/${file}.test.ts`, title]
const e2e = (file: string, title: string): NamedTest => [`test/e2e/${file}.test.ts`, title]

const isolation: Rows = {
  'pid': [kernel('isolation', 'sees its init, itself and nobody else'), kernel('network', 'of the pid kind shared')],
  'init': [kernel('container-exit', 'reaps thousands of orphans'), kernel('container-exit', 'passes on to the main process what it is sent'), kernel('container-exit', 'ends daemons, stopped processes')],
  'terminals': [kernel('terminal', 'has it on its three streams'), kernel('terminal', 'is controlled by it'), kernel('terminal', 'has its size, and follows'), kernel('terminal', 'delivers everything written before the end'), e2e('detached', 'takes a command in on the terminal')],
  'mount': [kernel('isolation', 'has no mount but the ones made for it'), kernel('container-death', 'is gone with all its processes, mounts and cgroups')],
  'overlay view': [['test/contract/layer-store.ts', 'looks through the layers as a process in them would'], kernel('snapshot-drivers', 'make the same changeset'), e2e('storage-drivers', 'make the same image')],
  'network none and host': [kernel('isolation', 'with network none has nothing but a loopback that is up'), kernel('isolation', 'with network host shares the host\'s')],
  'network bridge': [kernel('network', 'has eth0 with its address'), kernel('network', 'downloads from the world by name'), kernel('network', 'leaves no device behind')],
  'network private': [e2e('private-network', 'has eth0, the world by name'), e2e('private-network', 'is refused a private network with the remedy')],
  'network of another container': [kernel('network', 'of another container are joined')],
  'published ports': [kernel('network', 'lead to the container: streams and datagrams'), e2e('private-network', 'publishes ports, a range and those of UDP too')],
  'uts': [kernel('isolation', 'has its own host and domain name')],
  'ipc': [kernel('isolation', 'has System V objects and message queues of its own'), kernel('isolation', 'has a /dev/shm of the size asked for')],
  'user': [kernel('user-namespace', 'is root inside, and one of the lent ids outside'), kernel('user-namespace', 'leaves in its layer exactly'), e2e('userns', 'auto gives each running container ids'), e2e('userns', 'remap gives every container'), e2e('userns', 'gives the containers of %s the same ids')],
  'cgroup namespace': [kernel('isolation', 'sees only its own cgroup'), kernel('helper-paths', 'the process is born in its group')],
  'time namespace': [kernel('network', 'of time move the clocks')],
  'rootless': [e2e('rootless', 'builds, with files of several owners'), e2e('rootless', 'gets the digests that root gets'), e2e('rootless', 'has detached containers that later commands find'), e2e('doctor', 'tells a plain user what they have')],
  'nested': [kernel('chroot', 'builds, after a warning that says what is not isolated'), kernel('chroot', 'keeps deletions also in a store that lies on an overlayfs'), kernel('chroot', 'says so with --isolation namespaces')],
}

const limits: Rows = {
  'hierarchy': [['runtime/cgroup/hierarchies.test.ts', ''], kernel('limits', 'are asked for in vain without the controller'), kernel('delegation', 'that only tsbuild is in gives its controllers'), kernel('delegation', 'that holds processes of others'), e2e('rootless', 'applies the limits that cgroups delegated to them hold')],
  'memory': [kernel('limits', 'is named, with the peak'), kernel('limits', 'of memory are what the kernel was told')],
  'cpu': [kernel('limits', 'holds processor time back'), kernel('limits', 'is what the kernel was told'), kernel('limits', 'of processors are shares and sets')],
  'pids': [kernel('limits', 'stops forks at the number'), kernel('limits', 'survives a fork bomb')],
  'io': [kernel('limits', 'of disks are rates by device')],
  'devices': [kernel('limits', 'of the host cannot be opened by whoever makes a node'), kernel('limits', 'are limited by a program on version 2')],
  'ulimit': [kernel('privileges', 'take the place of the defaults'), kernel('privileges', 'has limits that do not depend on ours')],
  'OOM report': [kernel('limits', 'is named also when a shell hides'), kernel('limits', 'name the process that ran out of memory'), kernel('limits', 'is named when it is full, by bytes or by inodes'), kernel('limits', 'ends the process by SIGTERM and is named')],
  'timeout': [kernel('limits', 'ends the process by SIGTERM and is named'), kernel('limits', 'kills what ignores SIGTERM after a grace'), kernel('escapes', 'still ends at its timeout')],
  'throttling report': [kernel('limits', 'of processors are reported when they held the process back'), kernel('container-exit', 'carries what it used')],
}

const privilege: Rows = {
  'capabilities': [kernel('privileges', 'of root are Docker\'s default in three sets'), kernel('privileges', 'can be added and dropped by name'), kernel('privileges', 'can all be dropped, but for some')],
  'seccomp': [kernel('seccomp', 'agree on every call of the default profile'), kernel('seccomp', 'kill on calls of machines'), kernel('seccomp', 'refuses what reaches beyond the container'), kernel('seccomp', 'holds')],
  'apparmor, selinux': [kernel('privileges', 'are refused where the kernel lacks the module')],
  'no-new-privileges': [kernel('privileges', 'is off, as in a Docker build, unless asked for')],
  'read-only root, tmpfs': [e2e('run-options', 'takes Docker\'s options of privilege'), kernel('privileges', 'has the size, mode and flags asked for')],
  'user': [kernel('privileges', 'has its ids, its groups and no other'), ['builder/container/user.test.ts', '']],
  'masked and read-only paths': [kernel('isolation', 'finds the masked paths empty and the controlling ones read-only'), kernel('privileges', 'are neither hidden nor read-only')],
  'escapes': [kernel('escapes', 'cannot have the host run a program'), kernel('hostile-image', 'cannot be written through'), kernel('races', 'never leads to')],
}

/** By the advisories that showed them. */
const attacks: Rows = {
  'CVE-2019-5736: the runtime\'s program is written': [kernel('hostile-image', 'cannot be written through'), kernel('hostile-image', 'as an interpreter is harmless')],
  'CVE-2024-21626: a leaked descriptor becomes the working directory': [kernel('hostile-image', 'cannot be reached through descriptors'), kernel('hostile-image', 'do not reach a container')],
  'CVE-2016-9962: a joining process is traced': [kernel('escapes', 'can neither trace init nor look into it'), kernel('escapes', 'gets nothing out of init by tracing it'), e2e('joining', 'shows nothing of the host')],
  'CVE-2025-31133, CVE-2019-18837: a mask is led elsewhere': [kernel('hostile-image', 'cannot lead a masked path elsewhere'), kernel('hostile-image', 'below /dev and /sys finds them hidden')],
  'CVE-2025-52565: the console is led elsewhere': [kernel('hostile-image', 'below /dev and /sys finds them hidden'), kernel('terminal', 'has it on its three streams, as /dev/console')],
  'CVE-2025-52881, CVE-2019-16884: writes to procfs are redirected': [kernel('hostile-image', 'at a plain folder\'s /proc is refused'), ['runtime/validate-spec.test.ts', 'names %s when it cannot be'], kernel('races', 'never leads to')],
  'CVE-2021-30465, CVE-2024-45310: a mount point is exchanged': [kernel('races', 'never leads to'), kernel('races', 'is never made where the link leads'), kernel('races', 'is the folder or refused')],
  'CVE-2019-19921, CVE-2023-27561, CVE-2026-41579: /proc, /dev, /sys are links': [kernel('hostile-image', '%s gets a real one')],
  'CVE-2025-24965, CVE-2024-9676, CVE-2026-47262: account files lead elsewhere or have no end': [['builder/container/user.test.ts', 'takes root and ids on an image without account files']],
  'CVE-2022-29162: inheritable capabilities': [kernel('privileges', 'of root are Docker\'s default in three sets')],
  'CVE-2018-10856: a user with capabilities': [kernel('privileges', 'of a user are only a bound')],
  'CVE-2022-36109: supplementary groups': [kernel('privileges', 'is denied what its group is denied')],
  'CVE-2016-3697, CVE-2024-40635: numeric users': [kernel('privileges', 'cannot be a number that the kernel takes for something else'), ['builder/container/user.test.ts', 'refuses']],
  'CVE-2023-25809: cgroups writable from inside': [kernel('isolation', 'finds the masked paths empty'), kernel('races', 'can be written by root in a container only where they are its own')],
  'CVE-2022-0492, CVE-2022-0811: release agents and core patterns': [kernel('escapes', 'cannot have the host run a program'), kernel('privileges', 'of the host are refused')],
  'CVE-2021-43784: lengths overflow': [kernel('helper-paths', 'is refused whole, cut anywhere'), kernel('helper-paths', 'is refused with counts beyond its length')],
  'GHSA-g54h-m393-cpwq: devices open by default': [kernel('limits', 'of the host cannot be opened by whoever makes a node'), kernel('user-namespace', 'cannot open a device that the image has')],
  'CVE-2020-15257: abstract sockets': [kernel('escapes', 'finds no socket of ours')],
  'CVE-2019-14271: programs of the image are run': [e2e('joining', 'runs nothing of the image outside')],
  'CVE-2018-15664, CVE-2019-10152: a path changes while it is copied from': [kernel('container-exit', 'ends daemons, stopped processes'), kernel('hostile-layers', 'follows links of this layer and of those below'), kernel('races', 'is never made where the link leads')],
  'CVE-2022-4318, CVE-2024-5154: lines in generated files': [e2e('hostile-config', 'cannot put lines into generated files'), e2e('traps-run', '70 resolv.conf and hosts')],
  'CVE-2026-94603, CVE-2026-53488, CVE-2024-3154, CVE-2014-6408: an image chooses its confinement': [e2e('hostile-config', 'changes nothing of how its containers are confined'), e2e('hostile-config', 'changes nothing of how steps on top of it are')],
  'CVE-2026-55686: WORKDIR through a link': [kernel('hostile-image', 'that is missing is made inside, owned by the user, through links')],
  'CVE-2026-57231: variables of the host': [kernel('isolation', 'has the environment given and nothing else')],
  'CVE-2021-3602: the environment of the runtime': [kernel('isolation', 'learns nothing from its init')],
  'GHSA-jq35-85cj-fj4p: files of the kernel that tell or control': [kernel('isolation', 'finds the masked paths empty'), kernel('races', 'can be written by root in a container only where they are its own')],
  'CVE-2026-31431: calls that builds do not need': [kernel('seccomp', 'refuses what reaches beyond the container')],
  'CVE-2015-3627: links before the root is entered': [kernel('hostile-image', '%s gets a real one'), kernel('hostile-image', 'below /dev and /sys finds them hidden')],
  'CVE-2021-41091: a store open to others': [e2e('rootless', 'has a store of their own under the XDG data directory, closed to others')],
  'CVE-2020-13401: router advertisements': [kernel('escapes', 'cannot pose as its neighbours\' router'), kernel('network', 'reaches its neighbours unless it is isolated')],
  'CVE-2023-0386: setuid through overlay of foreign ids': [kernel('user-namespace', 'leaves in its layer exactly'), kernel('user-namespace', 'has every privilege in its own namespaces')],
}

const leaks: Rows = {
  'mounts': [kernel('container-death', 'is gone with all its processes, mounts and cgroups'), e2e('interrupted', 'by kill -9 leaves no mount, process or cgroup')],
  'processes': [kernel('container-exit', 'ends daemons, stopped processes'), kernel('container-death', 'leaves no process at whatever moment of its start'), kernel('escapes', 'still ends when everything in it is stopped')],
  'zombies': [kernel('container-exit', 'reaps thousands of orphans')],
  'cgroups': [kernel('container-death', 'together with its helper leaves empty cgroups'), kernel('limits', 'are gone after it, also after a failed setup')],
  'rules of others': [kernel('host-state', 'finds a rule in a table of others'), kernel('host-state', 'leaves our own table out')],
  'network': [kernel('network', 'leaves no device behind'), kernel('network', 'gives each address once'), e2e('private-network', 'publishes ports')],
  'folders and descriptors': [kernel('container-death', 'has the descriptors and cgroups it had before'), e2e('doctor', 'leaves nothing where it tried')],
  'output': [kernel('container-exit', 'held open by a background process does not hold up the end')],
  'trees': [kernel('trees', 'are deleted however deep, unreadable or immutable')],
}

const badInput: Rows = {
  'huge environments and arguments': [kernel('container-exit', 'says that arguments were too long')],
  'malformed profiles': [kernel('seccomp', 'that would not protect as it says is refused')],
  'unknown capabilities': [kernel('privileges', 'of an unknown name are refused')],
  'contradictory flags': [kernel('privileges', 'contradicts what takes something away'), kernel('user-namespace', 'contradicts %s of the host'), e2e('run-options', 'refuses %j'), e2e('userns', 'with %j refuses %j')],
}

describe.each([['isolation', isolation], ['limits', limits], ['privilege', privilege], ['attacks', attacks], ['leaks', leaks], ['bad input', badInput]])('%s', (_, rows) => {
  it.each(Object.entries(rows))('%s has its tests', (_row, tests) => {
    expect(tests.length).toBeGreaterThan(0)
    expect(missingTests(tests)).toEqual([])
  })
})
