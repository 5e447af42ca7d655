import { addCases } from './add-cases.ts'
import { configCases } from './config-cases.ts'
import { copyCases } from './copy-cases.ts'
import { languageCases } from './language-cases.ts'
import { runCases } from './run-cases.ts'

export interface Case {
  readonly name: string
  readonly dockerfile: string
  /** Of both commands. */
  readonly options?: readonly string[]
  /** Beside the fixture's. */
  readonly files?: Readonly<Record<string, string>>
  /** Paths that may differ, and `config`, each with the reason. */
  readonly explained?: Readonly<Record<string, string>>
  /** Why we refuse what docker builds, and the other way round. */
  readonly onlyWeRefuse?: string
  readonly onlyWeBuild?: string
  /** Docker cannot save an image without layers. */
  readonly isWithoutLayers?: boolean
}

export const cases: readonly Case[] = [...languageCases, ...configCases, ...copyCases, ...addCases, ...runCases]
