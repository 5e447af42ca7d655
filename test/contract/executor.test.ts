import type { Executor } from '../../runtime/index.ts'
import { describeExecutor } from './executor.ts'

const executors: readonly Executor[] = [{ kind: 'helper' }, { kind: 'oci', runtime: 'runc' }, { kind: 'oci', runtime: 'crun' }]

for (const executor of executors) describeExecutor(executor)
