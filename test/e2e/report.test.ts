import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('report')
const { context, must, run } = command
const file = join(command.folder, 'report.html')
const problems: string[] = []
let browser: Browser

const dockerfile = `FROM busybox AS base
RUN echo "to the log"; mkdir -p /opt/app/lib; for i in 1 2 3; do dd if=/dev/zero of=/opt/app/lib/$i.so bs=100k count=$i; done; sleep 2
FROM base AS other
RUN sleep 0.2; echo "<script>alert(1)</script>"; printf '\\033[31mred\\033[0m 10%%\\r20%%\\n'
FROM base
COPY input /opt/input
RUN rm -rf /opt/app/lib/3.so; echo replaced > /opt/app/lib/2.so
COPY --from=other /bin/busybox /opt/other
`

beforeAll(async () => {
  importBusybox(command)
  const path = context('app', { Dockerfile: dockerfile, input: 'one' })
  must('build', '-t', 'report:1', path)
  context('app', { Dockerfile: dockerfile, input: 'two' })
  must('build', '-t', 'report:1', path)
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
})
afterAll(async () => { await browser.close() })

async function open(path: string, options: { readonly isNarrow?: boolean; readonly isDark?: boolean } = {}): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: options.isNarrow === true ? 380 : 1200, height: 900 }, colorScheme: options.isDark === true ? 'dark' : 'light' })
  page.on('console', (message) => problems.push(message.text()))
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('request', (request) => { if (!/^(?:file|data):/u.test(request.url())) problems.push(`it asked for ${request.url()}`) })
  await page.goto(`file://${path}`)
  return page
}

/** What axe-core finds against accessibility. */
async function accessibilityProblems(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'))
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: () => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }
    const { violations } = await axe.run()
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 150)}`))
  })
}

describe('the page about a build', () => {
  it('is one file, not large, that asks for nothing', () => {
    must('report', '-o', file)
    expect(statSync(file).size).toBeLessThan(500_000)
    expect(readFileSync(file, 'utf8')).not.toMatch(/<(?:link|img|iframe)|src=/u)
  })

  it('shows each step on the timeline, and opens it with its log and what it used', async () => {
    must('build', '--no-cache', '-t', 'report:1', join(command.folder, 'app'))
    must('report', '-o', join(command.folder, 'fresh.html'))
    const page = await open(join(command.folder, 'fresh.html'))
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toContain('report:1')
    expect(await page.getByRole('region', { name: 'Timeline' }).getByRole('button').count()).toBe(6)
    const step = page.getByRole('button', { name: /to the log/u }).first()
    expect(await step.getAttribute('aria-expanded')).toBe('false')
    await step.click()
    expect(await step.getAttribute('aria-expanded')).toBe('true')
    expect(await page.getByLabel('Log', { exact: true }).innerText()).toContain('to the log')
    expect(await page.getByRole('img', { name: /^Memory up to .*processors/u }).locator('canvas').count()).toBe(1)
    await page.getByRole('button', { name: /alert/u }).click()
    expect(await page.getByLabel('Log', { exact: true }).last().innerText()).toBe('<script>alert(1)</script>\n20%\n')
    await page.close()
  })

  it('says of each step whether it was cached, and why not', async () => {
    const page = await open(file)
    const rows = await page.getByRole('region', { name: 'Cache', exact: true }).getByRole('row').allInnerTexts()
    expect(rows.filter((row) => /\thit\t/u.test(row)).length).toBe(3)
    expect(rows.find((row) => row.includes('COPY input'))).toMatch(/miss\tfile input changed/u)
    await page.close()
  })

  it('lets one walk through layers by area, bytes or inodes, and by list', async () => {
    const page = await open(file)
    const layers = page.getByRole('region', { name: 'Layers' })
    await layers.getByRole('button', { name: /to the log/u }).click()
    await layers.getByRole('button', { name: /^opt: 6\d\dkB/u }).click()
    await layers.getByRole('button', { name: /^app: / }).click()
    await layers.getByRole('button', { name: /^lib: / }).click()
    expect(await layers.getByRole('button', { name: /^[123]\.so: /u }).count()).toBe(3)
    await layers.getByRole('button', { name: 'inodes', exact: true }).click()
    expect(await layers.getByRole('button', { name: 'inodes', exact: true }).getAttribute('aria-pressed')).toBe('true')
    for (const name of ['opt', 'app', 'lib']) await layers.locator('summary', { hasText: name }).click()
    expect(await layers.locator('.leaf').allInnerTexts()).toEqual(expect.arrayContaining([expect.stringContaining('3.so')]))
    await page.close()
  })

  it('counts what later layers replace or delete', async () => {
    const page = await open(file)
    const waste = page.getByRole('region', { name: 'Waste', exact: true })
    expect(await waste.innerText()).toContain('512kB and 2 entries lie in layers')
    expect(await waste.getByRole('row').allInnerTexts()).toEqual([expect.any(String), '/opt/app/lib/3.so\t307kB\tlayer 2\tdeleted by layer 4', '/opt/app/lib/2.so\t205kB\tlayer 2\treplaced by layer 4'])
    await page.close()
  })

  it.each([['light', {}], ['dark', { isDark: true }], ['narrow', { isNarrow: true }]] as const)('is accessible: %s', async (_, options) => {
    const page = await open(join(command.folder, 'fresh.html'), options)
    await page.getByRole('button', { name: /to the log/u }).first().click()
    expect(await accessibilityProblems(page)).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    await page.close()
  })

  it('can be used by keyboard alone', async () => {
    const page = await open(file)
    await page.getByRole('button', { name: /to the log/u }).first().focus()
    await page.keyboard.press('Enter')
    expect(await page.getByLabel('Instruction').count()).toBe(1)
    await page.close()
  })
})

describe('the page about', () => {
  it('an image has its layers and no timeline', async () => {
    must('report', 'report:1', '-o', file)
    const page = await open(file)
    expect(await page.getByRole('heading', { level: 2 }).allInnerTexts()).toEqual(['Layers', 'Waste'])
    expect(await accessibilityProblems(page)).toEqual([])
    await page.close()
  })

  it('a build that failed says why', async () => {
    expect(run('build', context('failing', { Dockerfile: 'FROM busybox\nRUN echo bad news; exit 4\n' })).exitCode).toBe(4)
    must('report', '-o', file)
    const page = await open(file)
    expect(await page.locator('header').innerText()).toMatch(/failed[\s\S]*exit 4/u)
    await page.close()
  })

  it('something that is not there is not made', () => {
    expect(run('report', 'nothing:1', '-o', file)).toMatchObject({ exitCode: 3 })
  })
})

it('no page had an error, logged anything, or asked for anything else', () => {
  expect(problems).toEqual([])
})
