import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import type { ListingRow } from './render/template.ts'

/** For a listing whose lines have these fields. */
export function formatOption(headings: ListingRow): OptionSpec {
  return { name: 'format', value: 'FORMAT', help: `json, or a template of ${Object.keys(headings).map((field) => `.${field}`).join(', ')}; "table TEMPLATE" for columns` }
}

const forms = ['json', 'quiet', 'format'] as const

/** Which of the options that say how a listing is printed was given. @throws {UsageError} for several of them */
export function chosenForm(options: OptionValues): (typeof forms)[number] | undefined {
  const [first, second] = forms.filter((name) => options.has(name))
  if (second !== undefined) throw new UsageError(`options --${first} and --${second} print in two ways: give one of them`)
  return first
}
