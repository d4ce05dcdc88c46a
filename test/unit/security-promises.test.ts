/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: titles are compared as they stand in the source */
/**
 * Every sentence under "What Sallyport promises" in SECURITY.md is held by tests, which stand here. A new or changed
 * sentence fails until it is here with a test; a test that was renamed or removed fails too.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'

const root = path.resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')

/** By sentence: file under test/ without its ending, and titles as they stand in the source. */
const promises: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  // It fails closed
  'A ClientHello that cannot be read is refused with an alert, never served under default terms.': {
    'gateway/handshake': ['that is ${name} gets alert ${alert}'],
  },
  'A server name that no site has is refused with `unrecognized_name`, unless a site says `default: true`.': {
    'gateway/four-modes': ['refuses a name that no site has with unrecognized_name'],
    'gateway/handshake': ['without a name is refused where no site is the default'],
  },
  'The gateway does not start if a TLS option has no effect on this runtime: a self-test on a loopback connection checks for the effect.':
    {
      'gateway/self-test': ['refuses a transport that ${what}', 'runs before a gateway starts'],
    },
  'The gateway does not start with a policy that this runtime cannot enforce.': {
    'interop/tls-scanners': ['${name}: the gateway does not start, and says why'],
  },
  'The gateway does not start with an invalid configuration, and a reload with one leaves the current configuration unchanged.':
    {
      'gateway/operations': [
        'is refused with all of them at once',
        'gives an open connection the new routes, and a broken one changes nothing',
      ],
    },
  'A site with `clients` and no CA for them is refused, never served without client certificates.': {
    'unit/config-sites': [
      'that asks for client certificates and does not say whose is refused, never served without',
    ],
  },
  // One decision
  'SNI, Host, client certificates and resumption all use the same lookup by one canonical name.': {
    'unit/no-bypass': [
      'no request reaches a route whose client terms its connection did not meet: ${cases} random connections',
    ],
  },
  'A request whose Host has other TLS terms than its connection gets a 421.': {
    'gateway/handshake': ['a Host that falls under others than the connection is a 421'],
  },
  'A TLS session resumes only under the terms it was created with.': {
    'gateway/handshake': ['a ${version} session resumes on its own site and on no other'],
    'gateway/mutual-tls': ['never take a client into a site with other terms (${version})'],
  },
  'A client certificate that was revoked is refused on new, resumed and open connections.': {
    'gateway/mutual-tls': [
      'a certificate that was revoked meanwhile is refused: on new, resumed and open connections, over both versions',
    ],
  },
  'A site or route that requires a client certificate is not served in cleartext.': {
    'gateway/mutual-tls': ['never in cleartext (${version})'],
  },
  // Strict parsing
  'A request that could be read in two ways is refused before a byte of it reaches a backend.': {
    'gateway/smuggling': ['refuses ${name} before a byte reaches the backend'],
  },
  'A response that could be read in two ways is a 502.': {
    'gateway/backend-strictness': ['that sends ${name} is a 502, and its connection is closed'],
  },
  'Messages are reframed, and fields that belong to one connection are not forwarded.': {
    'gateway/header-hygiene': ['removes hop-by-hop fields and those that Connection names, both ways'],
    'gateway/both-versions': ['a body of unknown length', 'fields that belong to a connection, of an answer'],
  },
  'A truncated message is never passed on as complete.': {
    'gateway/both-versions': ['a backend that is cut off'],
    'gateway/smuggling': ["refuses ${name}, and cuts the backend's request off"],
  },
  'A filter cannot write framing fields, a second Host or a second X-Forwarded-For.': {
    'gateway/filters': [
      '${name} of a request, by ${how}',
      'Host is replaced',
      'what says who the client is, is replaced',
    ],
  },
  'What a client sends in cleartext before STARTTLS or SSLRequest never reaches a backend, and bytes pipelined behind them are refused.':
    {
      'gateway/start-tls-mail': [
        'changes to TLS by name, and reaches a backend that has heard nothing but what came inside',
        'refuses what is pipelined behind STARTTLS, and no backend hears of it (CVE-2011-0411)',
      ],
      'gateway/start-tls-postgres': [
        'together with SSLRequest are refused, and never read as if they were inside (CVE-2021-23214)',
      ],
    },
  'Handling input from the network takes time proportional to its length.': {
    'unit/linear-work': ["${file.replace('src/', '')}: ${what}"],
  },
  'Floods and compression bombs over HTTP/2 end their own connection.': {
    'gateway/http2-attacks': [
      'of ${name}',
      'rapid reset: HEADERS and RST_STREAM at once (CVE-2023-44487)',
      'a bomb of one indexed field, a hundred thousand times (CVE-2026-47774)',
    ],
  },
  // Who the client is
  'Fields that identify the client are removed from requests, on every listener and in every spelling, and set once by the gateway.':
    {
      'gateway/both-versions': [
        "says who the client is, each field once, whatever it says itself (${plain ? 'cleartext' : 'TLS'})",
      ],
    },
  "Requests that share a connection never get each other's fields.": {
    'gateway/filters': ['each tell the backend of their own host, whatever comes while a filter or a dial waits'],
  },
  'A PROXY header is required from the peers in `proxyProtocol.from`, and accepted from no other peer.': {
    'gateway/proxy-protocol': [
      'is required from a trusted peer, and refused when malformed',
      'is not believed from anybody else',
    ],
  },
  'What a peer outside `trust.from` sends never changes who the client is taken for.': {
    'gateway/trusted-proxies': [
      'never has a part in whom it is taken for (HTTP/1.1)',
      'never has a part in whom it is taken for (HTTP/2)',
    ],
  },
  'What a trusted proxy says never counts as TLS, and never stands for a client certificate.': {
    'gateway/trusted-proxies': ['never stands for TLS, and lends no certificate'],
    'unit/no-bypass': [
      'no request reaches a route whose client terms its connection did not meet: ${cases} random connections',
    ],
  },
  'A site with `listeners` does not exist on any other listener, on open connections either.': {
    'gateway/sites-per-listener': [
      'are those that name it, and those that name none',
      'a connection for one site reaches no site of another listener by its Host',
      'a reload moves a site to another listener, for open connections too',
    ],
  },
  // Backends
  'A backend over TLS is verified by name and chain, unless `verify: false` is written.': {
    'gateway/four-modes': ['refuses a backend with another name or an unknown CA, and says why in the log'],
  },
  '`sallyport check` warns about `verify: false`.': {
    'unit/config-routes': ['verify: false: anyone on the path can pose as this backend'],
  },
  // Secrets
  'The log has no bodies, no cookies and no authorization fields.': {
    'gateway/log-secrets': ['has no body, cookie or authorization field (${version})'],
  },
  'Secrets of TLS sessions are written only to the file that `--tls-keylog` names, only on Node, and with an error in the log.':
    {
      'gateway/command-line': [
        'session secrets are written only when asked for by name, with a loud record, and not on Bun',
      ],
      'gateway/log-secrets': ['SSLKEYLOGFILE in the environment is ignored'],
    },
  'An error page has the status and the request id, and no address, backend or reason.': {
    'gateway/limits-and-deadlines': [
      'are HTML or JSON by Accept, with the id of the log and nothing of the inside',
    ],
  },
  'Only their owner can read the keys that Sallyport writes: files have mode 0600, folders 0700.': {
    'unit/storage-files': ['holds values as they are, 0600 in folders of 0700, and nothing beside them'],
    'unit/local-ca': ['is made with its parents, closed to others, and holds two files and no drafts'],
  },
  'A stored value is complete or absent, even if the process is killed or the disk is full.': {
    'storage/storage-crash': [
      'leaves old values or new ones, at many moments',
      'leaves the old value, nothing half, and locks that still work',
    ],
  },
  'A key that looks damaged is never overwritten.': {
    'unit/local-ca': [
      'what is damaged or does not fit together is an error that names the file, and stays as it is',
    ],
  },
  // Dependencies
  'Every package is pinned with its hash, and runs nothing at install time.': {
    'unit/dependencies': ['are pinned with their hashes', 'run nothing at install time'],
  },
}

/**
 * Sections about people, and about what the code does not do, by a digest: whoever changes one looks whether a sentence
 * in it promises something, and moves that one to the promises.
 */
const others: Readonly<Record<string, string>> = {
  Reporting: 'c35d89ee375a9ef6',
  'Supported versions': '9898c84513b8ea0d',
  'In scope': '1884c1d88c179980',
  'What it cannot promise': '273256fb3ec50b76',
}

const page = read('SECURITY.md')

function sentencesOf(title: string): string[] {
  const section = new RegExp(`^## ${title}\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(page)?.[1] ?? ''
  return section
    .split(/\n\n|^- /m)
    .map(block => block.replace(/\s+/g, ' ').trim())
    .flatMap(block => block.split(/(?<=[.!?]) (?=[A-Z*`"])/))
    .map(sentence => sentence.trim())
    .filter(sentence => sentence !== '' && !/^\*\*[^*]+\*\*$/.test(sentence))
}

const digestOf = (title: string): string =>
  createHash('sha256').update(sentencesOf(title).join('\n')).digest('hex').slice(0, 16)

describe('SECURITY.md', () => {
  const [preface, ...said] = sentencesOf('What Sallyport promises')

  it('has no promise without a test here', () => {
    assert.match(preface as string, /^Each of these sentences has tests/)
    assert.deepEqual(
      said.filter(sentence => !Object.hasOwn(promises, sentence)),
      [],
    )
    assert.ok(said.length > 25)
  })

  it('has every promise that is here', () => {
    assert.deepEqual(
      Object.keys(promises).filter(sentence => !said.includes(sentence)),
      [],
    )
  })

  it('has sections that this test knows, and no sentence in them that was not looked at', () => {
    const titles = [...page.matchAll(/^## (.*)$/gm)].map(found => found[1] as string)
    assert.deepEqual(titles.toSorted(), [...Object.keys(others), 'What Sallyport promises'].toSorted())
    for (const [title, digest] of Object.entries(others))
      assert.equal(digestOf(title), digest, `${title}: ${digestOf(title)}`)
  })

  for (const [sentence, files] of Object.entries(promises)) {
    it(`is held by tests: ${sentence}`, () => {
      for (const [name, titles] of Object.entries(files)) {
        const file = `test/${name}.test.ts`
        assert.ok(existsSync(path.join(root, file)), `${file} is gone`)
        const source = read(file)
        for (const title of titles) {
          const quoted = [`'${title}'`, `\`${title}\``, `"${title}"`]
          assert.ok(
            quoted.some(each => source.includes(each)),
            `${file} has no test "${title}"`,
          )
        }
      }
    })
  }
})
