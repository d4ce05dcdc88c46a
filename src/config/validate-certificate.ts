/** A certificate written as a map: a chain with its key, or a folder of them, and not both. */
import type { CertificateConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOfKey } from './engine/tree.ts'
import type { certificateShape } from './schema/certificate.ts'

export function certificateOf(
  { chainFile, keyFile, directory }: Raw<typeof certificateShape>,
  node: Node,
  problems: Problems,
): CertificateConfig | undefined {
  if (childOf(node, 'directory')) {
    for (const key of ['chain', 'key']) {
      if (!childOf(node, key)) continue
      problems.error(placeOfKey(node, key), `${key} is beside directory`, 'one file or a folder of them, not both')
      return undefined
    }
    return directory ? { kind: 'directory', folder: directory } : undefined
  }
  for (const [key, example] of Object.entries(examples)) {
    if (!childOf(node, key)) problems.error(node.at, `${key} is missing`, `as in ${key}: ${example}`)
  }
  return chainFile && keyFile ? { kind: 'files', pairs: [{ chainFile, keyFile }] } : undefined
}

const examples = { chain: 'shop.pem', key: 'shop.key' }
