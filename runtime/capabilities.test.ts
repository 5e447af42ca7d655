import { describe, expect, it } from 'vitest'
import { selectCapabilities } from './capabilities.ts'

const all = (1n << 41n) - 1n
const dockerDefault = 0xa80425fbn
const sysAdmin = 1n << 21n
const mknod = 1n << 27n

describe('selectCapabilities', () => {
  it('starts from Docker\'s fourteen', () => {
    expect(selectCapabilities({}, all)).toBe(dockerDefault)
  })

  it.each(['SYS_ADMIN', 'CAP_SYS_ADMIN', 'cap_sys_admin', 'Sys_Admin'])('knows %s', (name) => {
    expect(selectCapabilities({ capAdd: [name] }, all)).toBe(dockerDefault | sysAdmin)
  })

  it('drops from the defaults', () => {
    expect(selectCapabilities({ capDrop: ['MKNOD'] }, all)).toBe(dockerDefault & ~mknod)
  })

  it('lets ALL be narrowed and nothing be widened, as Docker does', () => {
    expect(selectCapabilities({ capAdd: ['ALL'], capDrop: ['SYS_ADMIN'] }, all)).toBe(all & ~sysAdmin)
    expect(selectCapabilities({ capAdd: ['SYS_ADMIN'], capDrop: ['all'] }, all)).toBe(sysAdmin)
    expect(selectCapabilities({ capAdd: ['ALL'], capDrop: ['ALL'] }, all)).toBe(all)
    expect(selectCapabilities({ capAdd: ['MKNOD'], capDrop: ['MKNOD'] }, all)).toBe(dockerDefault)
  })

  it('gives of the defaults and of ALL what is held, and refuses a name that is not', () => {
    const held = all & ~sysAdmin & ~mknod
    expect(selectCapabilities({}, held)).toBe(dockerDefault & ~mknod)
    expect(selectCapabilities({ capAdd: ['ALL'] }, held)).toBe(held)
    expect(() => selectCapabilities({ capAdd: ['CHOWN', 'SYS_ADMIN'] }, held)).toThrow(expect.objectContaining({ code: 'RUNTIME_INVALID_SPEC', field: 'privilege.capAdd[1]' }))
  })

  it.each(['', 'CAP_', 'CHOWN ', 'ROOT', '0', 'CAP_CAP_CHOWN'])('refuses %j', (name) => {
    expect(() => selectCapabilities({ capDrop: [name] }, all)).toThrow(expect.objectContaining({ code: 'RUNTIME_INVALID_SPEC', field: 'privilege.capDrop[0]' }))
  })
})
