/** What `npm start` prints. */
import path from 'node:path'

export function hints(port: number, caFile: string): string {
  const ca = path.relative(process.cwd(), caFile) || caFile
  const curl = (host: string) => `curl --cacert ${ca} --resolve ${host}:${port}:127.0.0.1 https://${host}:${port}/`
  return `
Sallyport is listening on https://localhost:${port}. One port, four ways to end TLS:

  edge         TLS ends here, plain HTTP to the backend
               ${curl('localhost')}
  bridge       TLS ends here, and a verified TLS connection goes on to the backend
               ${curl('bridge.localhost')}
  passthrough  routed by name, never decrypted: the certificate is the backend's own
               ${curl('passthrough.localhost')}
  tcp          TLS ends here, raw TCP behind it (type a line; it comes back)
               openssl s_client -quiet -CAfile ${ca} -connect localhost:${port} -servername tcp.localhost

On the internet it takes \`certificate: acme\` and an e-mail address: examples/acme/README.md

In a browser, https://localhost:${port}/ warns until the local CA is trusted: ${ca}
Ctrl-C ends it. Each request is a line below.

`
}
