#!/bin/sh
':' //; exec node -- "$0" "$@"
// See tsbuild.cjs.
// `tsbuild oci-runtime` under a name of its own, for engines that take a path: podman --runtime.
'use strict'
process.argv.splice(2, 0, 'oci-runtime')
require('./tsbuild.cjs')
