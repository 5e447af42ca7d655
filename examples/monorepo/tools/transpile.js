// node transpile.js PACKAGE CACHE: strips the types of a package's sources into its dist/, what was done before from the cache.
const { createHash } = require('node:crypto')
const { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { stripTypeScriptTypes } = require('node:module')

const [folder, cache] = process.argv.slice(2)
mkdirSync(join(folder, 'dist'), { recursive: true })
for (const name of readdirSync(folder).filter((file) => file.endsWith('.ts'))) {
  const source = readFileSync(join(folder, name), 'utf8')
  const cached = join(cache, createHash('sha256').update(source).digest('hex'))
  const isKnown = existsSync(cached)
  if (!isKnown) {
    // Others share the cache: a file appears in it whole or not at all.
    writeFileSync(`${cached}.${process.pid}`, stripTypeScriptTypes(source))
    renameSync(`${cached}.${process.pid}`, cached)
  }
  writeFileSync(join(folder, 'dist', name.replace(/\.ts$/, '.js')), readFileSync(cached))
  console.log(`${isKnown ? 'cached' : 'transpiled'} ${join(folder, name)}`)
}
writeFileSync(join(folder, 'dist', 'package.json'), '{ "type": "module" }')
