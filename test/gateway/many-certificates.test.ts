/** Thousands of sites with certificate files: they load lazily, 10,000 in under 200 MB on Bun. */

import { spawn } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { it } from 'node:test'
import { runtime } from '../../src/base/runtime.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { freePort } from '../harness/ports.ts'
import { rawTls } from '../harness/raw.ts'
import { main, readyOf } from '../harness/sallyport.ts'
import { sized } from '../harness/scale.ts'
import { eventually } from '../harness/until.ts'

const sites = sized(1_000, 10_000)

it(`${sites} certificates`, async () => {
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
  const child = spawn(process.execPath, [main, 'run', '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    await readyOf(child)
    for (const at of [0, sites / 2, sites - 1]) {
      const client = await rawTls(port, { servername: `h${at}.test` })
      client.send(`GET / HTTP/1.1\r\nHost: h${at}.test\r\n\r\n`)
      await client.until(received => received.endsWith(`site ${at}`))
      client.destroy()
    }
    const rssMb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
    // What start-up left behind is given back within seconds; a gateway that needs more never gets there.
    if (runtime.name === 'bun')
      await eventually(
        () => `under 200 MB, not ${Math.round(rssMb())} MB`,
        () => rssMb() < 200,
      )
  } finally {
    child.kill('SIGKILL')
  }
})
