import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import { packChangeset } from '../../storage/index.ts'
import type { CacheKey } from '../cache/cache-key.ts'
import { cacheKey } from '../cache/cache-key.ts'
import { DirectoryView } from '../context/directory-view.ts'
import { parsePatterns } from '../context/dockerignore.ts'
import { checkOut, resolveCommit } from '../context/git.ts'
import { placeCopies } from '../copy/place.ts'
import { readRoots } from '../copy/read-roots.ts'
import { GitFailed } from '../context/errors.ts'
import type { BuildEvent } from '../events.ts'
import type { GitNode } from '../plan/plan.ts'
import type { Executed, Executor, Lookup } from './executor.ts'
import { emptyResult } from './executor.ts'
import type { FetchParts } from './http.ts'

/** A checkout as a tree: looked up by its commit, which is asked for once a build. Everything is root's, as in Docker. */
export function createGitExecutor(parts: FetchParts): Executor<GitNode> {
  const commits = new Map<string, Promise<string>>()
  const commitOf = (id: string, node: GitNode, task: Task<BuildEvent>): Promise<string> => {
    const started = commits.get(id) ?? findCommit(node, task)
    commits.set(id, started)
    return started
  }
  return {
    find: async ({ id, node }, task): Promise<Lookup> => parts.layers.find(checkoutKey(node, await commitOf(id, node, task)), emptyResult),
    run: async ({ id, node }, key, task): Promise<Executed> => {
      const commit = await commitOf(id, node, task)
      using checkout = await checkOut({ ...node, commit }, silent(task))
      const [root] = await readRoots(new DirectoryView(checkout.path, parsePatterns([])), '/')
      if (root === undefined) throw new TypeError('a checkout has a root')
      const entries = await placeCopies(parts.store.layers.view(undefined), [root], {
        destination: '/', owner: undefined, parentMode: 0o755,
        mode: (type, mode) => type === 'directory' || (mode & 0o100) !== 0 ? 0o755 : 0o644,
      })
      const layer = await parts.store.layers.apply(undefined, packChangeset(entries, silent(task)), undefined, silent(task))
      return { result: parts.layers.record(key, layer, emptyResult), usage: undefined }
    },
  }
}

/** @throws {GitFailed} when it is not the commit it has to be */
async function findCommit({ remote, ref, commit: wanted }: GitNode, task: Task<BuildEvent>): Promise<string> {
  const commit = await resolveCommit({ remote, ref: ref ?? (wanted?.length === 40 || wanted?.length === 64 ? wanted : undefined) }, silent(task))
  if (wanted !== undefined && !commit.startsWith(wanted)) throw new GitFailed(remote, `${ref ?? 'HEAD'} is commit ${commit}, wanted ${wanted}`)
  return commit
}

function checkoutKey({ remote, subdirectory, keepsGitDirectory, hasSubmodules }: GitNode, commit: string): CacheKey {
  return cacheKey('git', [
    { name: 'remote', value: remote }, { name: 'commit', value: commit }, { name: 'subdirectory', value: subdirectory },
    { name: 'keep-git-dir', value: String(keepsGitDirectory) }, { name: 'submodules', value: String(hasSubmodules) },
  ])
}
