import type * as builder from '../../builder/index.ts'
import type * as core from '../../core/errors.ts'
import type * as native from '../../native/index.ts'
import type * as oci from '../../oci/errors.ts'
import type * as registry from '../../registry-client/index.ts'
import type * as runtime from '../../runtime/index.ts'
import type * as storage from '../../storage/index.ts'
import type * as cli from '../errors.ts'

/** The codes of the error classes a module exports. */
type CodesOf<Module> = { [Name in keyof Module]: Module[Name] extends abstract new (...args: never) => { readonly code: infer Code extends string } ? string extends Code ? never : Code : never }[keyof Module]

/** Every code an error of ours can have: a new error class makes every table over it incomplete until it is served. */
export type ErrorCode = CodesOf<typeof builder> | CodesOf<typeof core> | CodesOf<typeof native> | CodesOf<typeof oci> | CodesOf<typeof registry> | CodesOf<typeof runtime> | CodesOf<typeof storage> | CodesOf<typeof cli>
