import type { DescribedCommand } from './app.ts'

export const shells = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof shells)[number]

/** What a shell has to read once. Names of images and containers are asked of tsbuild when they are wanted. */
export function completionScript(shell: Shell, commands: readonly DescribedCommand[]): string {
  switch (shell) {
    case 'bash': return bashScript(commands)
    case 'zsh': return `#compdef tsbuild\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(commands)}`
    case 'fish': return fishScript(commands)
  }
}

const ofImages = 'tsbuild images --format "{{.Repository}}:{{.Tag}}" 2>/dev/null'
const ofContainers = 'tsbuild ps -a --format "{{.Names}}" 2>/dev/null'

/** A command that prints what may stand there; none for files. */
function operandLister({ operands }: DescribedCommand): string | undefined {
  const listers = [...(/IMAGE|^NAME|\[NAME\]/u.test(operands) ? [ofImages] : []), ...(operands.includes('CONTAINER') ? [ofContainers] : [])]
  const words = operands.match(/(?<![A-Z])[a-z][a-z-]+(?![A-Z])/gu) ?? []
  if (listers.length === 0 && words.length > 0) return `echo ${words.join(' ')}`
  return listers.length === 0 ? undefined : listers.join('; ')
}

function bashScript(commands: readonly DescribedCommand[]): string {
  const cases = commands.map((command) => `    ${command.name}) options=${quote(flags(command.options).join(' '))}; values=${quote(valued(command.options).join(' '))}; operands=${quote(operandLister(command) ?? '')};;`)
  return `_tsbuild() {
  local before=\${COMP_WORDS[COMP_CWORD-1]} command=build options= values= operands= word=\${COMP_LINE:0:$COMP_POINT}
  word=\${word##* }
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ] && [ "\${word#-}" = "$word" ]; then
    COMPREPLY=($(compgen -W ${quote(commands.map(({ name }) => name).join(' '))} -- "$word"; compgen -d -- "$word"))
    return
  fi
  [ "\${COMP_WORDS[1]#-}" != "\${COMP_WORDS[1]}" ] || command=\${COMP_WORDS[1]}
  case $command in
${cases.join('\n')}
  esac
  case " $values " in *" $before "*) operands=;; *) case $word in -*) operands='echo "$options"';; esac;; esac
  if [ "$operands" = "" ]; then COMPREPLY=($(compgen -f -- "$word")); else COMPREPLY=($(compgen -W "$(eval "$operands")" -- "$word")); fi
  # A shell that breaks words at colons puts only what follows the last one.
  case \${COMP_WORDBREAKS-} in *:*) COMPREPLY=("\${COMPREPLY[@]#"\${word%"\${word##*:}"}"}");; esac
}
complete -o filenames -o bashdefault -F _tsbuild tsbuild`
}

function flags(options: DescribedCommand['options']): string[] {
  return options.flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])])
}

/** Those whose value is the next word. */
function valued(options: DescribedCommand['options']): string[] {
  return flags(options.filter(({ value, bare }) => value !== undefined && bare === undefined))
}

function fishScript(commands: readonly DescribedCommand[]): string {
  const lines = commands.flatMap((command) => {
    const inside = `complete -c tsbuild -n '__fish_seen_subcommand_from ${command.name}'`
    const lister = operandLister(command)
    return [
      `complete -c tsbuild -n __fish_use_subcommand -f -a ${command.name} -d ${quote(command.summary)}`,
      ...command.options.map(({ name, short, value, bare, help }) => `${inside} -l ${name}${short === undefined ? '' : ` -s ${short}`}${value === undefined || bare !== undefined ? '' : ' -r'} -d ${quote(help)}`),
      ...(lister === undefined ? [] : [`${inside} -f -a ${quote(`(${lister.replace(/^echo/u, 'string split " "')})`)}`]),
    ]
  })
  return lines.join('\n')
}

/** For all three shells; fish alone knows escapes between single quotes. */
function quote(text: string): string {
  return `'${text.replaceAll('\\', '').replaceAll('\'', '’')}'`
}
