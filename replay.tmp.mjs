import { readFileSync } from 'node:fs'
import pkg from '@xterm/headless'
const ev = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const t = new pkg.Terminal({ cols: 80, rows: 24, allowProposedApi: true, scrollback: 5000 })
const show = (what) => { const b = t.buffer.active; console.log(`==== ${what} (${t.cols}x${t.rows}) len ${b.length}`); for (let i = 0; i < b.length; i++) { const l = b.getLine(i); const s = l.translateToString(true); console.log((l.isWrapped ? 'W' : ' ') + '|' + s) } }
for (const e of ev) {
  if (e.size) t.resize(...e.size)
  if (e.data) await new Promise((r) => t.write(Buffer.from(e.data, 'latin1'), r))
  if (e.snap) show(`at ${e.snap.toFixed(1)}`)
}
await new Promise((r) => t.write('', r)); show('end')
