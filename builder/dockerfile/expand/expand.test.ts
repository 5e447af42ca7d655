import { describe, expect, it } from 'vitest'
import { DockerfileError } from '../errors.ts'
import type { Word } from '../instruction.ts'
import { expandHeredoc, expandWord, expandWords } from './expand.ts'

const variables = new Map([['e', ''], ['a', 'foobar.tar.gz'], ['st', 'a*b'], ['p', '/x/y/z'], ['nl', 'one\ntwo'], ['money', '$5'], ['uni', '日本x'], ['__proto__', 'p']])
const at = (text: string): Word => ({ text, range: { startLine: 3, startColumn: 10, endLine: 3, endColumn: 10 + text.length } })
const context = (escape: '\\' | '`') => ({ source: { name: 'Dockerfile', text: '' }, directives: { escape } })
const expand = (text: string, escape: '\\' | '`' = '\\'): string => expandWord(at(text), variables, context(escape)).text

function refusal(text: string, escape: '\\' | '`' = '\\'): DockerfileError {
  try {
    expand(text, escape)
  } catch (error) {
    if (error instanceof DockerfileError) return error
    throw error
  }
  throw new Error(`${text} was not refused`)
}

describe('expandWord', () => {
  it.each([
    // plain references and names
    ['plain', 'plain'], ['$a', 'foobar.tar.gz'], ['${a}', 'foobar.tar.gz'], ['x$a-y', 'xfoobar.tar.gz-y'], ['$unset', ''], ['[${unset}]', '[]'],
    ['$a$', 'foobar.tar.gz$'], ['$', '$'], ['$$a', 'a'], ['$1', ''], ['$1a', 'a'], ['${12}', ''], ['$@x', 'x'], ['${@}', ''], ['$aé', ''], ['é$a', 'éfoobar.tar.gz'],
    ['$__proto__', 'p'], ['$constructor', ''], ['$a/$st', 'foobar.tar.gz/a*b'], ['$a.b', 'foobar.tar.gz.b'],
    // default, alternative, required
    ['${u-d}', 'd'], ['${u:-d}', 'd'], ['${e-d}', ''], ['${e:-d}', 'd'], ['${a:-d}', 'foobar.tar.gz'], ['${u:-}', ''], ['${u-$a}', 'foobar.tar.gz'],
    ['${u+d}', ''], ['${u:+d}', ''], ['${e+d}', 'd'], ['${e:+d}', ''], ['${a+d}', 'd'], ['${a:+$st}', 'a*b'], ['${e?m}', ''], ['${a:?m}', 'foobar.tar.gz'],
    ['${u:-${v:-deep}}', 'deep'], ['${u:-${v-${w-x}}${a}}', 'xfoobar.tar.gz'], ['${u:-a b}', 'a b'], ['${u:-$}', '$'], ['x${u:-}y', 'xy'],
    // prefix and suffix
    ['${a#*.}', 'tar.gz'], ['${a##*.}', 'gz'], ['${a%.*}', 'foobar.tar'], ['${a%%.*}', 'foobar'], ['${a#f?o}', 'bar.tar.gz'], ['${a#x}', 'foobar.tar.gz'],
    ['${a%[}', 'foobar.tar.gz'], ['${a#"foo"}', 'bar.tar.gz'], ['${a##}', 'foobar.tar.gz'], ['${a#}', 'foobar.tar.gz'], ['${a%$e}', 'foobar.tar.gz'], ['${u#x}', ''],
    ['${st#a\\*}', 'b'], ['${st%\\*b}', 'a'], ['${st##*}', ''], ['${a#*}', 'foobar.tar.gz'], ['${a%%*}', ''], ['${a##*a}', 'r.gz'], ['${a#*a}', 'r.tar.gz'],
    ['${uni#?}', '本x'], ['${uni%?}', '日本'], ['${nl##*}', '\ntwo'], ['${nl%%*}', 'one\n'], ['${p##*/}', 'z'], ['${p#*/*/}', 'y/z'],
    // replacement
    ['${a/o/0}', 'f0obar.tar.gz'], ['${a//o/0}', 'f00bar.tar.gz'], ['${a/foo/}', 'bar.tar.gz'], ['${a//./_}', 'foobar_tar_gz'], ['${a//[/]/x}', 'foobar.tar.gz'],
    ['${p//\\//-}', '-x-y-z'], ['${a/?/X}', 'Xoobar.tar.gz'], ['${a//b*r/X}', 'fooX.gz'], ['${a//x*/-}', 'foobar.tar.gz'],
    ['${a/$e/X}', 'Xfoobar.tar.gz'], ['${a//$e/X}', 'XfXoXoXbXaXrX.XtXaXrX.XgXzX'], ['${a/*/X}', 'X'], ['${a//*/X}', 'X'], ['${nl//*/X}', 'X\nX'],
    ['${p////-}', '/-//-x/-//-y/-//-z/-'], ['${u/a/b}', ''], ['${a//o/\\$1}', 'f\\\\bar.tar.gz'], ['${a//o/$1}', 'fbar.tar.gz'], ['${a/o/$money}', 'f$5obar.tar.gz'],
    ['${a//o/$money}', 'fbar.tar.gz'], ['${a//o/<\'$0\'>}', 'f<o><o>bar.tar.gz'], ["${a//oo/'$$'}", 'f$bar.tar.gz'], ['${uni/?/x}', 'x本x'],
    // quotes
    ["'$a'", '$a'], ['"$a"', 'foobar.tar.gz'], ['"\'$a\'"', "'foobar.tar.gz'"], ["'\"$a\"'", '"$a"'], ['"it\'s"', "it's"], ['a"b c"d', 'ab cd'], ['""', ''], ["''", ''],
    ['${u:-"q $a"}', 'q foobar.tar.gz'], ["${u:-'}'}", '}'], ['"${u:-x"y"z}"', 'xyz'], ['"${u:-a b}"', 'a b'],
    // escapes
    ['\\$a', '$a'], ['"\\$a"', '$a'], ['a\\ b', 'a b'], ['"a\\ b"', 'a\\ b'], ["'a\\ b'", 'a\\ b'], ['\\"q\\"', '"q"'], ['a\\\\b', 'a\\b'], ['"a\\\\b"', 'a\\b'],
    ['"a\\n"', 'a\\n'], ['\\a', 'a'], ['"\\""', '"'], ['${u:-a\\}b}', 'a}b'], ['`$a', '`foobar.tar.gz'], ['a\\', 'a'],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text)).toBe(expected)
  })

  it.each([
    ['`$a', '$a'], ['\\$a', '\\foobar.tar.gz'], ['"`$a"', '$a'], ["'`$a'", '`$a'], ['c:\\dir', 'c:\\dir'], ['``', '`'],
    // Patterns are escaped by the backslash all the same.
    ['${st#a`*}', 'a*b'], ['${st#a\\*}', 'b'],
  ])('with the backtick as escape character %s becomes %s', (text, expected) => {
    expect(expand(text, '`')).toBe(expected)
  })

  it.each([
    ['${a', '}'], ['${', '}'], ['${a:', '}'], ['${a:}', 'no substitution'], ['${}', 'variable name'], ['${{a}}', 'variable name'], ['${:-x}', 'variable name'],
    ['${a@Q}', 'no substitution'], ['${a:=x}', 'no substitution'], ['${a^}', 'no substitution'], ['${#a}', 'no substitution'], ['${a:#foo}', 'no substitution'], ['${a:%z}', 'no substitution'],
    ['${a/foo}', 'second /'], ['${a/foo/x', '}'], ['${a#foo\\}', '}'], ['${a#\\f}', 'no meaning in a pattern'], ['${a#x\\', '}'],
    ['"x', 'double quote'], ["'x", 'single quote'], ['"${u:-"', 'quote'], ['${u:-"}', 'quote'], ['"a\\"', 'double quote'],
    ['${u?msg}', 'u: msg'], ['${u:?}', 'u: is not allowed to be unset'], ['${e:?}', 'e: is not allowed to be empty'], ['${e:?needs $st}', 'e: needs a*b'],
  ])('%s is refused and names %s', (text, words) => {
    const error = refusal(text)
    expect(error.rule).toBe('expansion')
    expect(error.problem).toContain(words)
  })

  it('underlines the substitution that is wrong, not the whole word', () => {
    expect(refusal('ab${a@Q}cd').range).toEqual({ startLine: 3, startColumn: 12, endLine: 3, endColumn: 16 })
    expect(refusal('ab"cd').range).toEqual({ startLine: 3, startColumn: 12, endLine: 3, endColumn: 15 })
  })

  it('reports every name it read, set or not, whether or not it decided the result', () => {
    const { used, unset } = expandWord(at('$a${u:-$st}${e:+$v}\\$x\'$y\'${p/$w/}'), variables, context('\\'))
    expect([...used].sort()).toEqual(['a', 'e', 'p', 'st'])
    expect([...unset].sort()).toEqual(['u', 'v', 'w'])
  })

  it('refuses nesting and growth beyond its limits instead of running out of stack or memory', () => {
    expect(refusal(`${'${u:-'.repeat(100_000)}x${'}'.repeat(100_000)}`).rule).toBe('limit')
    const big = new Map([['b', 'x'.repeat(600_000)]])
    expect(() => expandWord(at('$b$b'), big, context('\\'))).toThrow(expect.objectContaining({ rule: 'limit' }))
    expect(() => expandWord(at('${b//x/$b}'), big, context('\\'))).toThrow(expect.objectContaining({ rule: 'limit' }))
  })

  it('matches patterns that make backtracking engines explode', () => {
    const hostile = new Map([['v', 'a'.repeat(50_000)]])
    for (const pattern of [`${'*a'.repeat(500)}b`, `${'a*'.repeat(500)}b`, `${'*'.repeat(2000)}b`, `${'?*'.repeat(500)}b`]) {
      for (const form of [`\${v#${pattern}}`, `\${v##${pattern}}`, `\${v%%${pattern}}`, `\${v//${pattern}/x}`]) {
        expect(expandWord(at(form), hostile, context('\\')).text).toBe(hostile.get('v'))
      }
    }
  })
})

describe('expandWords', () => {
  const words = (text: string): readonly string[] => expandWords(at(text), new Map([['two', '80 81/udp'], ['e', '']]), context('\\')).words.map((word) => word.text)

  it('splits what comes out of a variable, but nothing that is quoted or escaped', () => {
    expect(words('$two')).toEqual(['80', '81/udp'])
    expect(words('1$two')).toEqual(['180', '81/udp'])
    expect(words('"$two"')).toEqual(['80 81/udp'])
    expect(words('a\\ b')).toEqual(['a b'])
    expect(words('${u:-a b}c')).toEqual(['a', 'bc'])
  })

  it('makes no word of nothing', () => {
    expect(words('$e')).toEqual([])
    expect(words('""')).toEqual([])
  })
})

describe('expandHeredoc', () => {
  const body = (content: string, isExpanded = true, escape: '\\' | '`' = '\\'): string => expandHeredoc(
    { name: 'EOF', content, rawContent: content, isExpanded, fileDescriptor: 0, range: { startLine: 2, startColumn: 0, endLine: 3, endColumn: 3 } },
    variables, context(escape),
  ).text

  it('gives quotes no meaning', () => {
    expect(body('$a "$a" \'$a\' "\n')).toBe('foobar.tar.gz "foobar.tar.gz" \'foobar.tar.gz\' "\n')
  })

  it('escapes with the backslash whatever the directive says', () => {
    expect(body('`$e|\\$a|\\q|\\\\', true, '`')).toBe('`|$a|q|\\')
  })

  it('leaves the body alone when the delimiter was quoted', () => {
    expect(body('$a \\$a ${broken', false)).toBe('$a \\$a ${broken')
  })
})
