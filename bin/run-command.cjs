'use strict'
// Runs dist/cli.cjs from the code V8 compiled in an earlier run: Node's own compile cache keeps a module as it was when
// loaded, without the functions compiled since, which is most of what a short command waits for.
const { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } = require('fs')
const { createRequire } = require('module')
const path = require('path')
const { Script, constants } = require('vm')

// Transfers make buffers faster than the garbage collector, which counts objects and not what they hold, comes round to them.
// Kept from growing, the young heap is full sooner: the peak of a huge blob falls by a third, and nothing takes longer. V8
// takes kept code only under the flags it was compiled with, so this comes first.
if (['copy', 'pull', 'push', 'sync'].includes(process.argv[2])) setFlags('--semi-space-growth-factor=1')

const file = path.join(__dirname, '..', 'dist', 'cli.cjs')
const cache = path.join(__dirname, '..', 'dist', '.code-cache', cacheName())
const cachedData = readIfThere(cache)
const script = new Script(`(function (require, __filename, __dirname) {${readFileSync(file, 'latin1')}\n})`, {
  filename: file,
  cachedData,
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
})
if (cachedData === undefined || script.cachedDataRejected) {
  // The garbage collector throws away code that has not run for a while: that of the start, which is what is wanted of it.
  setFlags('--no-flush-bytecode')
  process.on('exit', keepCode)
}
const load = createRequire(file)
// Evaluating one of these takes 1 to 7 ms, and many a command gets by without: they are loaded when something of theirs is wanted.
const late = ['child_process', 'crypto', 'dgram', 'net', 'readline', 'stream', 'stream/consumers', 'stream/promises', 'zlib'].map((name) => `node:${name}`)
script.runInThisContext()((name) => late.includes(name) ? new Proxy({}, { get: (_, key) => load(name)[key] }) : load(name), file, path.dirname(file))

/** V8 refuses code of another version or with other flags, but knows the source by its length alone. */
function cacheName() {
  const { size, mtimeMs } = statSync(file)
  const first = process.argv[2] || ''
  const command = /^[a-z][a-z-]{1,19}$/.test(first) ? first : 'build'
  return `${command}-${process.version}-${process.arch}-${size}-${Math.round(mtimeMs)}`
}

/** After a command's first success: by then what it needs is compiled, and a word that is no command leaves no file. */
function keepCode(exitCode) {
  if (exitCode !== 0) return
  const unfinished = `${cache}.${process.pid}`
  try {
    mkdirSync(path.dirname(cache), { recursive: true })
    // As it is for whoever reads it.
    setFlags('--flush-bytecode')
    const fd = openSync(unfinished, 'w', 0o644)
    writeFileSync(fd, script.createCachedData())
    // V8 trusts what it reads: a name must never lead to half a file, not even after a loss of power.
    fsyncSync(fd)
    closeSync(fd)
    renameSync(unfinished, cache)
  } catch (error) {
    // An installation that is not ours to write to, or a full disk: the command itself has succeeded, and the next one compiles again.
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOENT'].includes(error.code)) throw error
    if (['ENOSPC', 'EDQUOT'].includes(error.code)) rmSync(unfinished, { force: true })
  }
}

function setFlags(flags) {
  require('v8').setFlagsFromString(flags)
}

function readIfThere(name) {
  try {
    return readFileSync(name)
  } catch (error) {
    if (['ENOENT', 'EACCES'].includes(error.code)) return undefined
    throw error
  }
}
