import type { Seccomp } from '../container-spec.ts'
import type { ConfigNode } from './config-node.ts'

/**
 * The filter of a bundle. Its rules may contradict each other, since engines put lists of theirs together: of several
 * for the same call the first without conditions holds, as with libseccomp, by which other runtimes do it.
 */
export function bundleSeccomp(linux: ConfigNode): Seccomp {
  const profile = linux.raw('seccomp')
  if (profile === undefined) return { kind: 'unconfined' }
  const node = linux.child('seccomp')
  node.refuse(['listenerPath', 'listenerMetadata'])
  const defaultAction = node.needText('defaultAction')
  const isDefault = (rule: ConfigNode): boolean => rule.text('action') === defaultAction && (rule.number('errnoRet') ?? 1) === (node.number('defaultErrnoRet') ?? 1)
  const decided = new Set<string>()
  const syscalls = node.children('syscalls').filter((rule) => !isDefault(rule)).flatMap((rule) => {
    const names = rule.texts('names').filter((name) => !decided.has(name))
    const args = rule.children('args')
    if (args.length === 0) for (const name of names) decided.add(name)
    const errnoRet = rule.number('errnoRet')
    return names.length === 0 ? [] : [{ names, action: rule.needText('action'), args: rule.raw('args') ?? [], ...(errnoRet === undefined ? {} : { errnoRet }) }]
  })
  const rest = Object.fromEntries(['defaultErrnoRet', 'architectures', 'flags'].flatMap((name) => {
    const value = node.raw(name)
    return value === undefined ? [] : [[name, value]]
  }))
  return { kind: 'profile', profile: { defaultAction, ...rest, syscalls } }
}
