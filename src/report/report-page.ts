import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ReportData } from './report-data.ts'

/** The page as one file that needs no other: style, script and data are in it, and it may load nothing. */
export function reportPage(data: ReportData): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>${escapeHtml(data.title)} · tsbuild report</title>
<style>${readAsset('report-page.css')}</style>
</head>
<body>
<noscript><p>This page draws its charts with a script. What it shows is in the JSON at its end, and in "tsbuild history show".</p></noscript>
<main id="report"></main>
<script type="application/json" id="data">${JSON.stringify(data).replaceAll('<', String.raw`\u003c`)}</script>
<script>${readAsset('report-page.js').replaceAll('</script', String.raw`<\/script`)}</script>
</body>
</html>
`
}

/** Beside the bundle, or where it puts them when this runs from the sources. */
function readAsset(name: string): string {
  const candidates = [join(import.meta.dirname, name), join(import.meta.dirname, '..', name), join(import.meta.dirname, '..', '..', 'dist', name)]
  return readFileSync(candidates.find((path) => existsSync(path)) ?? join(import.meta.dirname, name), 'utf8')
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
