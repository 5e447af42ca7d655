import type { ProcessUser } from '../../runtime/index.ts'
import type { RootfsView } from '../../storage/index.ts'
import type { Chown } from '../dockerfile/values/chown.ts'
import { UserUnknown } from '../errors.ts'

/** A user as a process gets it. */
export interface ResolvedUser extends ProcessUser {
  readonly home: string
}

/** Account files are read whole; BuildKit caps them the same. */
const maxFileBytes = 10 * 1024 * 1024
/** The highest id; one more means "no change" to the kernel. */
const maxId = 0xfffffffe

/**
 * Resolves what USER or `--user` says, `user[:group]`, in the image's own /etc/passwd and /etc/group. Digits are an id,
 * never a name. A user alone brings its primary and supplementary groups; with a group given there are no others; an id
 * that is in no file has group 0. The group itself stands among the supplementary ones, as in every engine since
 * CVE-2022-36109: files that a group may not read could otherwise be read by leaving it out.
 * @throws {UserUnknown}
 */
export async function resolveUser(view: RootfsView, text: string): Promise<ResolvedUser> {
  return resolveUserBy((path) => readAccountFile(view, path), text)
}

/** The same where something else than a view gives the two files; "" for one that is not there. @throws {UserUnknown} */
export async function resolveUserBy(read: (path: string) => Promise<string>, text: string): Promise<ResolvedUser> {
  const [userText = '', groupText, ...rest] = text.split(':')
  if (rest.length > 0 || (groupText === '' && text !== '')) throw new UserUnknown(text, 'want user, uid, user:group or uid:gid')
  const accounts = parsePasswd(await read('/etc/passwd'))
  const user = findUser(accounts, userText, text)
  const groups = parseGroups(await read('/etc/group'))
  const gid = groupText === undefined ? user.gid : findGroup(groups, groupText, text)
  if (groupText !== undefined) return { uid: user.uid, gid, groups: [gid], home: user.home }
  const supplementary = user.name === undefined ? [] : groups.filter(({ members }) => members.includes(user.name ?? '')).map((group) => group.gid)
  return { uid: user.uid, gid, groups: [...new Set([gid, ...supplementary])], home: user.home }
}

/**
 * Resolves `--chown`. Unlike for a process, a user alone gives the group of the same number.
 * @throws {UserUnknown}
 */
export async function resolveOwner(view: RootfsView, chown: Chown): Promise<{ uid: number; gid: number }> {
  const { user = '0', group, hasColon } = chown
  const text = `${chown.user ?? ''}${hasColon ? ':' : ''}${group ?? ''}`
  const uid = parseId(user) ?? findUser(parsePasswd(await readAccountFile(view, '/etc/passwd')), user, text).uid
  if (group === undefined) return { uid, gid: hasColon ? 0 : uid }
  return { uid, gid: parseId(group) ?? findGroup(parseGroups(await readAccountFile(view, '/etc/group')), group, text) }
}

/** Resolves `--group-add`. @throws {UserUnknown} */
export async function resolveGroups(view: RootfsView, texts: readonly string[]): Promise<number[]> {
  if (texts.length === 0) return []
  const groups = parseGroups(await readAccountFile(view, '/etc/group'))
  return texts.map((text) => findGroup(groups, text, text))
}

interface Account { readonly name: string | undefined; readonly uid: number; readonly gid: number; readonly home: string }
interface Group { readonly name: string; readonly gid: number; readonly members: readonly string[] }

async function readAccountFile(view: RootfsView, path: string): Promise<string> {
  const resolved = await view.resolve(path)
  const entry = await view.lstat(resolved)
  if (entry === undefined) return ''
  return (await view.readFile(resolved, maxFileBytes)).toString('utf8')
}

function findUser(accounts: readonly Account[], userText: string, text: string): Account {
  if (userText === '') return accounts.find(({ uid }) => uid === 0) ?? { name: 'root', uid: 0, gid: 0, home: '/root' }
  const uid = parseId(userText)
  if (uid !== undefined) return accounts.find((account) => account.uid === uid) ?? { name: undefined, uid, gid: 0, home: '/' }
  refuseNumber(userText, text)
  const account = accounts.find(({ name }) => name === userText)
  if (account !== undefined) return account
  if (userText === 'root') return { name: 'root', uid: 0, gid: 0, home: '/root' }
  throw new UserUnknown(text, `the image's /etc/passwd has no user "${userText}"`)
}

function findGroup(groups: readonly Group[], groupText: string, text: string): number {
  const gid = parseId(groupText)
  if (gid !== undefined) return gid
  refuseNumber(groupText, text)
  const group = groups.find(({ name }) => name === groupText)
  if (group !== undefined) return group.gid
  if (groupText === 'root') return 0
  throw new UserUnknown(text, `the image's /etc/group has no group "${groupText}"`)
}

/** Plain decimal digits in range; anything else is no id. */
function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/u.test(text)) return undefined
  const id = Number(text)
  return id <= maxId ? id : undefined
}

/** What looks like a number and is none we take must not be looked up as a name: a passwd line could claim it. */
function refuseNumber(part: string, text: string): void {
  if (/^[+-]?\d/u.test(part)) throw new UserUnknown(text, `"${part}" is no id between 0 and ${maxId}`)
}

function parsePasswd(text: string): Account[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , uidText = '', gidText = '', , home = ''] = line.split(':')
    const uid = parseId(uidText)
    const gid = parseId(gidText)
    return name === '' || uid === undefined || gid === undefined ? [] : [{ name, uid, gid, home: home === '' ? '/' : home }]
  })
}

function parseGroups(text: string): Group[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , gidText = '', members = ''] = line.split(':')
    const gid = parseId(gidText)
    return name === '' || gid === undefined ? [] : [{ name, gid, members: members.split(',') }]
  })
}
