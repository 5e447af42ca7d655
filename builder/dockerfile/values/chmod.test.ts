import { describe, expect, it } from 'vitest'
import { DockerfileError } from '../errors.ts'
import { applyChmod, parseChmod } from './chmod.ts'

const place = { source: { name: 'Dockerfile', text: '' }, range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 1 } }
const file = (text: string, mode: number): string => applyChmod(parseChmod(text, place), { mode, isDirectory: false }).toString(8)
const directory = (text: string, mode: number): string => applyChmod(parseChmod(text, place), { mode, isDirectory: true }).toString(8)

describe('parseChmod and applyChmod', () => {
  it.each([
    ['0644', 0o755, '644'], ['755', 0o600, '755'], ['4711', 0o644, '4711'], ['00000644', 0o777, '644'], ['0', 0o777, '0'],
    ['u+x', 0o644, '744'], ['+x', 0o644, '755'], ['a+x', 0o600, '711'], ['go-rwx', 0o777, '700'], ['u=rwx,go=rx', 0o000, '755'], ['=', 0o777, '0'], ['=r', 0o777, '444'],
    ['u=', 0o4755, '55'], ['g=u', 0o750, '770'], ['o=g', 0o750, '755'], ['g+u', 0o700, '770'], ['o-u', 0o707, '700'], ['u+s', 0o755, '4755'], ['g+s', 0o755, '2755'],
    ['+s', 0o755, '6755'], ['o+s', 0o755, '755'], ['+t', 0o755, '1755'], ['o+t', 0o755, '755'], ['u+t', 0o755, '1755'], ['a-s', 0o6755, '755'], ['u+rw-x', 0o100, '600'], ['ug+w,o-r', 0o444, '660'], ['-w', 0o666, '444'],
    ['a+X', 0o644, '644'], ['a+X', 0o744, '755'], ['u=rwX,go=rX', 0o600, '644'], ['u=rwX,go=rX', 0o700, '755'], ['a=r,a+X', 0o755, '555'],
  ])('%s turns a file of mode %o into %s', (text, mode, expected) => {
    expect(file(text, mode)).toBe(expected)
  })

  it.each([['a+X', 0o600, '711'], ['u=rwX,go=rX', 0o700, '755'], ['go=', 0o2755, '700'], ['u+w', 0o2555, '2755']])('%s turns a directory of mode %o into %s', (text, mode, expected) => {
    expect(directory(text, mode)).toBe(expected)
  })

  it('looks at the permission bits of a mode only', () => {
    expect(file('u+x', 0o100644)).toBe('744')
  })

  it.each(['999', '10000', '0o755', '77777777777777', 'u', 'x', 'u+z', 'q+x', 'u+x,', ',u+x', 'u+x, g+x', '', '-1', 'u+gx', `${'u+x,'.repeat(1000)}u+x`])('refuses %j', (text) => {
    expect(() => parseChmod(text, place)).toThrow(DockerfileError)
  })
})
