/**
 * npm run test:oci-validation [-- NAME…]
 * The validation tests of opencontainers/runtime-tools with our runtime, and with runc where that is there. Fetches their sources, Go and
 * the modules they need from Debian's archive, which takes a Debian host with apt-get, and root. @see docs/decisions/0095-the-validation-suite.md
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findSystemProgram } from '../core/find-program.ts'

const folder = join(tmpdir(), 'tsbuild-oci-validation')
const source = 'golang-github-opencontainers-runtime-tools'
const modules = [
  'blang-semver', 'google-uuid', 'hashicorp-go-multierror', 'hashicorp-errwrap', 'mrunalp-fileutils', 'opencontainers-specs', 'opencontainers-selinux', 'sirupsen-logrus', 'stretchr-testify', 'urfave-cli',
  'xeipuuv-gojsonschema', 'xeipuuv-gojsonpointer', 'xeipuuv-gojsonreference', 'davecgh-go-spew', 'pmezard-go-difflib', 'cpuguy83-go-md2man-v2', 'russross-blackfriday-v2', 'burntsushi-toml',
].map((name) => `golang-github-${name}-dev`)
const packages = ['golang-go', 'golang-gocapability-dev', 'golang-golang-x-sys-dev', 'golang-gopkg-yaml.v3-dev', ...modules]
/** The first that the archive still has the sources of. */
const suites = ['trixie', 'sid']
const mostSeconds = 180

/** The lines of the Test Anything Protocol, in place of the one module that Debian does not have. */
const tapModule = `package tap

import (
	"encoding/json"
	"fmt"
	"strings"
)

type T struct {
	count int
	todo  bool
}

func New() *T { return &T{} }
func (t *T) Header(count int) {
	fmt.Println("TAP version 13")
	if count > 0 {
		fmt.Printf("1..%d\\n", count)
	}
}
func (t *T) AutoPlan() { fmt.Printf("1..%d\\n", t.count) }
func (t *T) Ok(ok bool, description string) {
	t.count++
	word, suffix := "not ok", ""
	if ok {
		word = "ok"
	}
	if t.todo {
		suffix = " # TODO"
		t.todo = false
	}
	fmt.Printf("%s %d - %s%s\\n", word, t.count, description, suffix)
}
func (t *T) Pass(description string) { t.Ok(true, description) }
func (t *T) Fail(description string) { t.Ok(false, description) }
func (t *T) Skip(count int, description string) {
	for i := 0; i < count; i++ {
		t.count++
		fmt.Printf("ok %d # SKIP %s\\n", t.count, description)
	}
}
func (t *T) Todo() *T { t.todo = true; return t }
func (t *T) Diagnostic(message string) {
	fmt.Println("# " + strings.ReplaceAll(strings.TrimRight(message, "\\n"), "\\n", "\\n# "))
}
func (t *T) Diagnosticf(format string, args ...interface{}) { t.Diagnostic(fmt.Sprintf(format, args...)) }
func (t *T) YAML(message interface{}) error {
	text, err := json.MarshalIndent(message, "  ", "  ")
	if err == nil {
		fmt.Printf("  ---\\n  %s\\n  ...\\n", text)
	}
	return err
}
`

/** Nothing is installed: packages are unpacked here. */
function fetchPackages(): void {
  const debs = join(folder, 'debs')
  mkdirSync(debs, { recursive: true })
  const tools = execFileSync('apt-cache', ['depends', 'golang-go'], { encoding: 'utf8' }).match(/golang-\d[\d.]*-go/u)?.[0]
  if (tools === undefined) throw new Error('apt-cache knows no golang-go: run apt-get update')
  for (const name of [tools, tools.replace(/-go$/u, '-src'), ...packages.filter((each) => each !== 'golang-go')]) execFileSync('apt-get', ['download', '-qq', name], { cwd: debs, stdio: ['ignore', 'ignore', 'inherit'] })
  for (const name of readdirSync(debs)) execFileSync('dpkg', ['-x', join(debs, name), join(folder, 'go')])
}

function fetchSources(): void {
  const lists = join(folder, 'lists')
  mkdirSync(join(lists, 'partial'), { recursive: true })
  for (const suite of suites) {
    writeFileSync(join(folder, 'sources.list'), `deb-src http://deb.debian.org/debian ${suite} main\n`)
    const options = ['-qq', '-o', `Dir::Etc::sourcelist=${join(folder, 'sources.list')}`, '-o', 'Dir::Etc::sourceparts=-', '-o', `Dir::State::lists=${lists}`]
    spawnSync('apt-get', [...options, 'update'], { stdio: 'inherit' })
    spawnSync('apt-get', [...options, 'source', '--download-only', source], { cwd: folder, stdio: 'ignore' })
    if (findSources() !== undefined) return
  }
  throw new Error(`Debian's archive gives no sources of ${source}`)
}

function findSources(): string | undefined {
  return readdirSync(folder).find((name) => name.startsWith(source) && name.includes('.orig.tar.'))
}

interface Suite { readonly tree: string; readonly env: NodeJS.ProcessEnv }

/** Go's old way of finding modules by folders, since Debian packages are laid out for it. */
function build(): Suite {
  const gopath = join(folder, 'go/usr/share/gocode')
  const tree = join(gopath, 'src/github.com/opencontainers/runtime-tools')
  const root = readdirSync(join(folder, 'go/usr/lib')).find((name) => name.startsWith('go-')) ?? ''
  const env = { ...process.env, GOROOT: join(folder, 'go/usr/lib', root), GOPATH: gopath, GO111MODULE: 'off', GOCACHE: join(folder, 'cache'), CGO_ENABLED: '0' }
  if (existsSync(join(tree, 'built'))) return { tree, env }
  mkdirSync(tree, { recursive: true })
  execFileSync('tar', ['-xf', join(folder, findSources() ?? ''), '-C', tree, '--strip-components=1'])
  const tap = join(gopath, 'src/github.com/mndrix/tap-go')
  mkdirSync(tap, { recursive: true })
  writeFileSync(join(tap, 'tap.go'), tapModule)
  const go = (...args: readonly string[]): void => { execFileSync(join(env.GOROOT, 'bin/go'), args, { cwd: tree, env, stdio: 'inherit' }) }
  go('build', '-o', 'runtimetest', './cmd/runtimetest')
  for (const name of listTests(tree)) go('build', '-o', `validation/${name}/${name}.t`, `./validation/${name}`)
  writeFileSync(join(tree, 'built'), '')
  return { tree, env }
}

function listTests(tree: string): string[] {
  return readdirSync(join(tree, 'validation'), { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== 'util').map(({ name }) => name)
}

interface Result { readonly passed: number; readonly failed: number; readonly text: string }

/** In a mount namespace of its own: some tests have a runtime work in the caller's. */
function runTest({ tree, env }: Suite, name: string, runtime: string): Result {
  const { stdout, stderr, status } = spawnSync('unshare', ['--mount', '--propagation', 'private', 'timeout', String(mostSeconds), `validation/${name}/${name}.t`], { cwd: tree, env: { ...env, RUNTIME: runtime }, encoding: 'utf8', maxBuffer: 1 << 28 })
  const lines = stdout.split('\n')
  const failed = lines.filter((line) => line.startsWith('not ok') && !line.includes('# TODO')).length
  return { passed: lines.filter((line) => line.startsWith('ok ')).length, failed: failed + (status === 0 ? 0 : 1), text: `${stdout}\n${stderr}` }
}

function main(): void {
  mkdirSync(folder, { recursive: true })
  if (!existsSync(join(folder, 'go'))) {
    fetchPackages()
    fetchSources()
  }
  const suite = build()
  const ours = join(folder, 'tsbuild-runtime')
  writeFileSync(`${ours}.new`, `#!/bin/sh\nexec ${process.execPath} ${join(import.meta.dirname, '../bin/tsbuild-runtime.cjs')} "$@"\n`, { mode: 0o755 })
  renameSync(`${ours}.new`, ours)
  const runtimes = [['tsbuild', ours], ...findSystemProgram('runc', process.env) === undefined ? [] : [['runc', 'runc']]] as [name: string, program: string][]
  const wanted = process.argv.slice(2)
  const worse: string[] = []
  for (const test of listTests(suite.tree).filter((name) => wanted.length === 0 || wanted.includes(name))) {
    const results = runtimes.map(([name, program]) => ({ name, ...runTest(suite, test, program) }))
    for (const { name, text } of results) writeFileSync(join(folder, `${test}.${name}.txt`), text)
    const [own, other] = results
    if (own !== undefined && other !== undefined && own.failed > other.failed) worse.push(test)
    console.log(`${test.padEnd(34)}${results.map(({ name, passed, failed }) => `${name} ${passed} passed, ${failed} failed`).join('   ')}`)
  }
  console.log(`what each said: ${folder}/NAME.RUNTIME.txt\nworse than runc: ${worse.length === 0 ? 'none' : worse.join(', ')}`)
}

main()
