import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'

const schema = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'build-events.schema.json'), 'utf8')) as object
const validate = new Ajv2020({ strict: false, allErrors: true, discriminator: false }).compile(schema)

/** What the published schema has against a line, one sentence each. */
export function schemaProblems(line: unknown): string[] {
  if (validate(line)) return []
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`)
}
