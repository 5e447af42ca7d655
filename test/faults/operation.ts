/** One operation on a store, to be disturbed: `operation.ts ROOT NAME`. What it prints is done for good. */
import { perform } from './operations.ts'

const [, , root = '', name = ''] = process.argv
process.stdout.write(`${await perform(root, name)}\n`)
