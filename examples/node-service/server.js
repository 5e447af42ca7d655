import { createServer } from 'node:http'

export function answer(path) {
  if (path === '/health') return { status: 200, text: 'healthy\n' }
  if (path === '/') return { status: 200, text: `hello from node ${process.versions.node.split('.')[0]}\n` }
  return { status: 404, text: 'nothing here\n' }
}

export function start(port) {
  const server = createServer((request, response) => {
    const { status, text } = answer(request.url)
    response.writeHead(status, { 'content-type': 'text/plain' }).end(text)
  })
  process.on('SIGTERM', () => server.close())
  return server.listen(port, () => console.log(`listening on ${port}`))
}

if (import.meta.main) start(Number(process.env.PORT ?? 8080))
