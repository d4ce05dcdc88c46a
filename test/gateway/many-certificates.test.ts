/** 10,000 sites with certificate files: they load lazily, in under 200 MB on Bun. The time to ready is printed, not judged. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { it } from 'node:test'
import { runtime } from '../../src/base/runtime.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { freePort } from '../harness/ports.ts'
import { rawTls } from '../harness/raw.ts'

const sites = 10_000
const main = path.resolve(import.meta.dirname, '../../src/cli/main.ts')

it('10,000 certificates', async () => {
  const folder = temporaryFolder('sallyport-many-')
  const files = issueFiles(testCa(), ['h.test'])
  let text = 'listen: [{ port: 0, address: 127.0.0.1 }]\nlog: { access: true }\nsites:\n'
  for (let at = 0; at < sites; at++) {
    copyFileSync(files.chainFile, path.join(folder, `${at}.pem`))
    copyFileSync(files.keyFile, path.join(folder, `${at}.key`))
    text += `  - { host: h${at}.test, certificate: { chain: ${at}.pem, key: ${at}.key }, routes: [{ respond: { body: site ${at} } }] }\n`
  }
  const port = await freePort()
  const file = path.join(folder, 'sallyport.yaml')
  writeFileSync(file, text.replace('port: 0', `port: ${port}`))
  const startedAt = performance.now()
  const child = spawn(process.execPath, [main, 'run', '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    let errors = ''
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', chunk => {
        errors += chunk
        if (errors.includes('sallyport ready')) resolve()
      })
      child.on('exit', code => reject(new Error(`exit ${code}: ${errors}`)))
    })
    console.log(`ready with ${sites} certificates after ${Math.round(performance.now() - startedAt)} ms`)
    for (const at of [0, 4711, sites - 1]) {
      const client = await rawTls(port, { servername: `h${at}.test` })
      client.send(`GET / HTTP/1.1\r\nHost: h${at}.test\r\n\r\n`)
      await client.until(received => received.endsWith(`site ${at}`))
      client.destroy()
    }
    const rssMb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
    // What start-up left behind is given back within seconds; a gateway that needs more never gets there.
    const until = performance.now() + 20_000
    while (runtime.name === 'bun' && rssMb() >= 200 && performance.now() < until) {
      await new Promise(resolve => setImmediate(resolve))
    }
    if (runtime.name === 'bun') assert.ok(rssMb() < 200, `${Math.round(rssMb())} MB`)
  } finally {
    child.kill('SIGKILL')
  }
})
