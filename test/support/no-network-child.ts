/** Run where the kernel makes no network namespace: what a pool says of it, as JSON. */
import { NetworkPool } from '../../runtime/index.ts'

using pool = new NetworkPool({ isIsolated: true })
const error = await pool.borrow('bridge').catch((failure: unknown) => failure as { code?: string; message?: string })
process.stdout.write(JSON.stringify('code' in error ? { code: error.code, message: error.message } : undefined))
