import { describe, expect, it } from 'vitest'
import { failureOf } from '../../test/support/task.ts'
import type { Environment } from './environment.ts'
import { loadProxies } from './proxies.ts'

const proxy = 'http://proxy.example:3128'

function wayTo(target: string, env: Environment): string {
  return loadProxies(env)(new URL(target))?.url.host ?? 'direct'
}

describe('loadProxies', () => {
  it('takes the variable of the scheme, in capitals first', () => {
    const env = { HTTP_PROXY: 'http://one:1', https_proxy: 'two:2', http_proxy: 'http://three:3' }
    expect([wayTo('http://reg.io/', env), wayTo('https://reg.io/', env)]).toEqual(['one:1', 'two:2'])
    expect([wayTo('http://reg.io/', { HTTPS_PROXY: proxy }), wayTo('https://reg.io/', { HTTPS_PROXY: '' })]).toEqual(['direct', 'direct'])
  })

  it('keeps the login out of the address', () => {
    const found = loadProxies({ HTTPS_PROXY: 'http://me:p%3Aw@proxy.example:3128/x' })(new URL('https://reg.io'))
    expect(found?.url.href).toBe('http://proxy.example:3128/')
    expect(found?.authorization?.reveal()).toBe(`Basic ${btoa('me:p:w')}`)
  })

  it.each([
    ['this machine always', '', ['https://localhost:5000', 'https://127.0.0.1', 'https://127.8.8.8', 'https://[::1]:443']],
    ['a domain with all below it', 'reg.io', ['https://reg.io', 'https://a.b.reg.io']],
    ['only what is below a domain', '.reg.io, *.other.io', ['https://a.reg.io', 'https://x.other.io']],
    ['one port', 'reg.io:5000', ['https://reg.io:5000']],
    ['the port of the scheme', 'reg.io:443 plain.io:80', ['https://reg.io', 'http://plain.io']],
    ['addresses and networks', '10.0.0.0/8,192.168.1.7,fd00::/8', ['https://10.1.2.3', 'https://192.168.1.7:5000', 'https://[fd00::1]']],
    ['capitals like small letters', 'REG.IO', ['https://reg.io']],
    ['everything', '*', ['https://reg.io', 'http://10.0.0.1']],
  ])('goes to %s directly', (_, noProxy, direct) => {
    expect(direct.map((target) => wayTo(target, { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, NO_PROXY: noProxy }))).toEqual(direct.map(() => 'direct'))
  })

  it.each([
    ['reg.io', ['https://reg.io.evil', 'https://areg.io']],
    ['.reg.io', ['https://reg.io']],
    ['reg.io:5000', ['https://reg.io', 'https://reg.io:50']],
    ['10.0.0.0/8', ['https://11.0.0.1', 'https://10.example']],
    ['10.0.0.0/99,/8,:,..,192.168.*', ['https://10.0.0.1', 'https://192.168.0.1']],
  ])('takes the proxy where NO_PROXY is %s', (noProxy, targets) => {
    expect(targets.map((target) => wayTo(target, { HTTPS_PROXY: proxy, NO_PROXY: noProxy }))).toEqual(targets.map(() => 'proxy.example:3128'))
  })

  it.each(['socks5://x:1', 'http://?secret', 'ftp://x', 'http://a:%zz@x'])('refuses %s without repeating it', async (text) => {
    const failure = await failureOf(Promise.resolve().then(() => loadProxies({ HTTPS_PROXY: text })))
    expect(failure).toMatchObject({ code: 'REGISTRY_INVALID_CONFIGURATION', path: 'HTTPS_PROXY' })
    expect(String(failure)).not.toContain(text)
  })
})
