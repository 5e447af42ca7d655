import { TsbuildError } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import type { StepPolicy } from '../dockerfile/step-policy.ts'
import { StepTimedOut } from '../errors.ts'
import { WrongDownload } from '../context/errors.ts'
import type { BuildEvent } from '../events.ts'
import type { NodeId, PlanNode } from '../plan/plan.ts'
import type { Executed, Executor } from './executor.ts'

/** An executor of steps that fetch something, with the time and the attempts that each step's policy gives it. */
export function createPatientExecutor<N extends PlanNode>(executor: Executor<N>, policy: (node: NodeId) => StepPolicy): Executor<N> {
  return {
    find: (step, task) => executor.find(step, task),
    run: (step, key, task) => attempt({ policy: policy(step.id), run: (limited) => executor.run(step, key, limited) }, task),
  }
}

async function attempt({ policy, run }: { policy: StepPolicy; run: (task: Task<BuildEvent>) => Promise<Executed> }, task: Task<BuildEvent>): Promise<Executed> {
  const retries = policy.retries ?? 0
  for (let number = 1; ; number += 1) {
    try {
      return await runInTime(policy.timeoutMs, run, task)
    } catch (error) {
      task.signal.throwIfAborted()
      if (!(error instanceof TsbuildError) || error instanceof WrongDownload || number > retries) throw error
      task.emit({ type: 'warning-raised', rule: 'StepRetried', message: `attempt ${number} of ${retries + 1} failed: ${error.message}`, range: undefined })
    }
  }
}

async function runInTime(timeoutMs: number | undefined, run: (task: Task<BuildEvent>) => Promise<Executed>, task: Task<BuildEvent>): Promise<Executed> {
  if (timeoutMs === undefined) return run(task)
  const timer = AbortSignal.timeout(timeoutMs)
  try {
    return await run({ ...task, signal: AbortSignal.any([task.signal, timer]) })
  } catch (error) {
    task.signal.throwIfAborted()
    throw timer.aborted ? new StepTimedOut(timeoutMs, { cause: error }) : error
  }
}
