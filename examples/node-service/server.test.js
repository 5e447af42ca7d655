import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer } from './server.js'

test('says hello', () => assert.match(answer('/').text, /^hello from node \d+\n$/))
test('knows what it has', () => assert.equal(answer('/other').status, 404))
