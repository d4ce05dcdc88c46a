/** Git's own CGI program behind a small HTTP server: clones and pushes with the repositories below a folder. */
import { execFileSync, spawn } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import path from 'node:path'

export function gitServer(folder: string): (request: IncomingMessage, response: ServerResponse) => void {
  const program = path.join(execFileSync('git', ['--exec-path']).toString().trim(), 'git-http-backend')
  return (request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://git.test')
    const child = spawn(program, {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: {
        ...process.env,
        GIT_PROJECT_ROOT: folder,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: pathname,
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        REMOTE_USER: 'tester',
      },
    })
    request.pipe(child.stdin)
    child.stdin.on('error', () => {})
    const output: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
    child.on('close', () => {
      const all = Buffer.concat(output)
      const end = all.indexOf('\r\n\r\n')
      const fields = all.toString('latin1', 0, end).split('\r\n')
      const pairs = fields.map(line => line.split(': ') as [string, string])
      const status = pairs.find(([name]) => name === 'Status')?.[1] ?? '200'
      response.writeHead(
        Number(status.slice(0, 3)),
        Object.fromEntries(pairs.filter(([name]) => name !== 'Status')),
      )
      response.end(all.subarray(end + 4))
    })
  }
}
