/** `sallyport ca`: the internal CA. One file per subcommand in cli/ca/. */
import { UsageError } from '../../base/errors.ts'
import { nearest } from '../../config/engine/nearest.ts'
import type { Words } from '../argv.ts'
import { initCa } from '../ca/init.ts'
import { issueCertificate } from '../ca/issue.ts'
import { listIssued, revokeCertificate, writeCrl } from '../ca/revoke.ts'
import type { Verb } from '../verb.ts'

const subcommands: Readonly<Record<string, (words: Words) => Promise<number>>> = {
  init: initCa,
  issue: issueCertificate,
  list: listIssued,
  revoke: revokeCertificate,
  crl: writeCrl,
}

export const ca: Verb = {
  name: 'ca',
  usage: 'ca init | issue NAME... | list | revoke SERIAL|NAME | crl  [-c FILE | --state FOLDER]',
  summary: 'the internal CA: certificates for backends and their clients',
  details: `ca init [--name TEXT] [--names internal,10.0.0.0/8,spiffe://example.org]
  creates a root and an intermediate in the state folder; --names limits what the intermediate may sign
ca issue NAME... [--hours N] [--out FOLDER] [--csr FILE] [--client] [--spiffe ID] [--replace]
  writes chain and key, valid for 24 hours; --client for the client side of mutual TLS; --csr signs an existing request;
  --replace overwrites the previous files, where programs that watch them pick them up: for use with a timer
ca list [--json]
  what was issued, the latest first
ca revoke SERIAL|NAME [--reason keyCompromise|superseded|cessationOfOperation|...]
  by name: every certificate of that name that is in force
ca crl [--out FILE] [--hours N] [--der]
  the revocation list, good for 168 hours`,
  values: ['config', 'state', 'name', 'names', 'hours', 'csr', 'out', 'spiffe', 'reason'],
  flags: ['json', 'client', 'der', 'replace'],
  async run(words) {
    const [what] = words.rest
    const all = Object.keys(subcommands)
    if (what === undefined) throw new UsageError(`ca needs one of ${all.join(', ')}; 'sallyport help ca' says more`)
    const run = Object.hasOwn(subcommands, what) ? subcommands[what] : undefined
    if (run !== undefined) return await run(words)
    const close = nearest(what, all)
    throw new UsageError(
      `ca has ${all.join(', ')}, not '${what}'${close === null ? '' : `; did you mean ${close}?`}`,
    )
  },
}
