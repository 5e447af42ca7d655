import type { CopyInstruction, FromInstruction, Instruction, KeyValue, Word } from '../instruction.ts'
import type { ExpandContext, References, Variables } from './expand.ts'
import { expandHeredoc, expandWord, expandWords, ReferenceCollector } from './expand.ts'

/**
 * The instruction with the variables of every word that Docker expands replaced, quotes and escapes gone, all by one
 * state of the variables. Ranges stay those of what was written. Left alone: commands, since shells expand them,
 * `COPY --from` and `--exclude`, `RUN` flags (see parseRunMount), ARG (see StageScope), and SHELL, HEALTHCHECK,
 * MAINTAINER and ONBUILD whole.
 * @throws {DockerfileError}
 * @see Dockerfile reference "Environment replacement"
 */
export function expandInstruction<I extends Instruction>(instruction: I, variables: Variables, context: ExpandContext): References & { readonly instruction: I }
export function expandInstruction(instruction: Instruction, variables: Variables, context: ExpandContext): References & { readonly instruction: Instruction } {
  const expander = new Expander(variables, context)
  return { instruction: expander.expand(instruction), used: expander.references.used, unset: expander.references.unset }
}

type SettingInstruction = Extract<Instruction, { kind: 'WORKDIR' | 'USER' | 'STOPSIGNAL' | 'VOLUME' | 'EXPOSE' }>
type CopyFields = Pick<CopyInstruction, 'sources' | 'destination' | 'chown' | 'chmod'>

function isSetting(instruction: Instruction): instruction is SettingInstruction {
  return ['WORKDIR', 'USER', 'STOPSIGNAL', 'VOLUME', 'EXPOSE'].includes(instruction.kind)
}

class Expander {
  readonly references = new ReferenceCollector()
  readonly #variables: Variables
  readonly #context: ExpandContext

  constructor(variables: Variables, context: ExpandContext) {
    this.#variables = variables
    this.#context = context
  }

  expand(instruction: Instruction): Instruction {
    if (instruction.kind === 'ENV' || instruction.kind === 'LABEL') return { ...instruction, pairs: this.#pairs(instruction.pairs) }
    if (instruction.kind === 'COPY') return { ...instruction, ...this.#copy(instruction) }
    if (instruction.kind === 'ADD') return { ...instruction, ...this.#copy(instruction), checksum: this.#optional(instruction.checksum) }
    if (instruction.kind === 'FROM') return this.#from(instruction)
    return isSetting(instruction) ? this.#setting(instruction) : instruction
  }

  /** An empty platform is kept, for parsePlatformFlag to refuse. */
  #from(instruction: FromInstruction): FromInstruction {
    const { base, platform } = instruction
    return { ...instruction, base: this.#word(base), platform: platform === undefined ? undefined : this.#word(platform) }
  }

  #setting(instruction: SettingInstruction): SettingInstruction {
    switch (instruction.kind) {
      case 'WORKDIR': return { ...instruction, path: this.#word(instruction.path) }
      case 'USER': return { ...instruction, user: this.#word(instruction.user) }
      case 'STOPSIGNAL': return { ...instruction, signal: this.#word(instruction.signal) }
      case 'VOLUME': return { ...instruction, paths: instruction.paths.map((path) => this.#word(path)) }
      case 'EXPOSE': return { ...instruction, ports: instruction.ports.flatMap((port) => this.#words(port)) }
    }
  }

  #copy({ sources, destination, chown, chmod }: CopyFields): CopyFields {
    return {
      chown: this.#optional(chown),
      chmod: this.#optional(chmod),
      destination: this.#word(destination),
      sources: sources.map((source) => {
        if (source.kind === 'path') return { kind: 'path', path: this.#word(source.path) }
        const expansion = expandHeredoc(source.heredoc, this.#variables, this.#context)
        this.references.add(expansion)
        return { kind: 'heredoc', heredoc: { ...source.heredoc, content: expansion.text } }
      }),
    }
  }

  #pairs(pairs: readonly KeyValue[]): KeyValue[] {
    return pairs.map(({ name, value, hasEquals }) => ({ name: this.#word(name), value: this.#word(value), hasEquals }))
  }

  #words(word: Word): readonly Word[] {
    const { words, ...references } = expandWords(word, this.#variables, this.#context)
    this.references.add(references)
    return words
  }

  #word(word: Word): Word {
    const expansion = expandWord(word, this.#variables, this.#context)
    this.references.add(expansion)
    return { text: expansion.text, range: word.range }
  }

  /** A flag that comes out empty counts as not given. */
  #optional(word: Word | undefined): Word | undefined {
    if (word === undefined) return undefined
    const expanded = this.#word(word)
    return expanded.text === '' ? undefined : expanded
  }
}
