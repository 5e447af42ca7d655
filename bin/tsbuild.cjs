#!/bin/sh
':' //; exec node -- "$0" "$@"
// A shell runs the line above, for JavaScript it is a text and a comment: before "--" Node takes any --env-file for its own,
// also one of "tsbuild run", and with it NODE_OPTIONS for this process. "env -S" could say "--" too, but not everywhere.
// Old syntax on purpose: any Node can read this far and is told, or led, to one that runs the rest.
'use strict'
var path = require('path')
var fs = require('fs')
var minimum = 24

function main() {
  if (process.argv.length === 3 && (process.argv[2] === '--version' || process.argv[2] === '-v')) {
    console.log('tsbuild version ' + require('../package.json').version)
    return
  }
  if (Number(process.versions.node.split('.')[0]) < minimum) return runPinnedNode()
  require('./run-command.cjs')
}

// A clone has the right Node in node_modules.
function runPinnedNode() {
  var pinned = path.join(__dirname, '..', 'node_modules', 'node', 'bin', 'node')
  if (!fs.existsSync(pinned)) {
    console.error('tsbuild needs Node ' + minimum + ' or newer and this is ' + process.version + '. Install it, for example with `npm install -g node@' + minimum + '`, and run the command again.')
    process.exit(1)
  }
  var child = require('child_process').spawn(pinned, ['--', __filename].concat(process.argv.slice(2)), { stdio: 'inherit' })
  // The terminal sends its signals to both; the child decides what they mean.
  ;['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'].forEach(function (name) {
    process.on(name, function () { if (name !== 'SIGINT' && name !== 'SIGQUIT') child.kill(name) })
  })
  child.on('exit', function (code, signal) {
    if (signal) {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    } else process.exit(code)
  })
}

main()
