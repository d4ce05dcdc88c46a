/** What the gateway of the walk talks to, and the files of its configurations. */
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { issueFiles, temporaryFolder, testCa } from '../../harness/certificates.ts'
import { writeTree } from '../../harness/file-tree.ts'
import { freePort } from '../../harness/ports.ts'

const servers: net.Server[] = []

/** Answers with the head that it got: a 200, or what the path asks for, as in `/418`. `/broken` gets nothing. */
async function backend(name: string): Promise<string> {
  let url = ''
  const server = net.createServer(socket => {
    let head = ''
    socket.on('error', () => {})
    socket.on('data', bytes => {
      head += bytes.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      const asked = /^GET \/(broken|\d{3}) /.exec(head)?.[1] ?? '200'
      if (asked === 'broken') {
        socket.destroy()
        return
      }
      const body = `${head.trimEnd()}\r\nbackend: ${name}\r\n`
      const fields = `content-length: ${body.length}\r\ncontent-type: text/plain\r\nx-backend: ${name}\r\nconnection: close`
      const own = `location: ${url}/there\r\ncontent-location: http://inner.test/there\r\nset-cookie: a=1; Domain=b.test; Path=/`
      socket.end(`HTTP/1.1 ${asked} OK\r\n${fields}\r\n${own}\r\n\r\n${body}`)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  servers.push(server)
  url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
  return url
}

export const echo = {
  url: await backend('first'),
  other: await backend('other'),
  spare: await freePort(),
  sparest: await freePort(),
}

export const ca = testCa()
export const otherCa = testCa('another CA')
export const [one, two] = [issueFiles(ca, ['a.test']), issueFiles(ca, ['a.test'])]
export const workload = issueFiles(ca, [], { uris: ['spiffe://e/b'] })
export const files = { folder: temporaryFolder() }

export function fileWith(name: string, text: string | Buffer): string {
  const file = path.join(files.folder, name)
  writeFileSync(file, text)
  return file
}

/** The same certificate, with its CA behind it */
export const longer = fileWith('longer.pem', one.chainPem + ca.certificatePem)
export const textOf = (file: string): string => readFileSync(file, 'utf8')

export function closePeers(): void {
  for (const server of servers) server.close()
}

/** A folder with that certificate alone */
export function certificateFolder({ chainPem, keyPem }: Pick<typeof one, 'chainPem' | 'keyPem'>): string {
  const folder = temporaryFolder()
  writeFileSync(path.join(folder, 'a.pem'), chainPem)
  writeFileSync(path.join(folder, 'a.key'), keyPem)
  return folder
}

/** Its responder does not answer. */
export const stapled = issueFiles(ca, ['a.test'], { ocspUrl: 'http://127.0.0.1:9/' })
writeFileSync(stapled.chainFile, stapled.chainPem + ca.certificatePem)

const authorityFiles = (name: string, { certificatePem, keyPem }: typeof ca) => ({
  chain: fileWith(`${name}.pem`, certificatePem),
  key: fileWith(`${name}.key`, keyPem),
})
export const authority = authorityFiles('authority', ca)
export const otherAuthority = authorityFiles('other-authority', otherCa)

/** A folder with these files */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder()
  writeTree(folder, files)
  return folder
}

/** A file to include: the site `included.test`, whose responses have this body */
export function siteFile(body: string): string {
  const file = path.join(temporaryFolder(), `${body}.yaml`)
  writeFileSync(
    file,
    `sites: [{ host: included.test, certificate: local, routes: [{ respond: { body: ${body} } }] }]\n`,
  )
  return file
}
