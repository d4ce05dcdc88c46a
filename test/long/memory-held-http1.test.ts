/**
 * What every hostile peer of test/harness/memory-attacks.ts can make the gateway hold: at most 2 MB for a connection of
 * HTTP/1.1 or layer 4. docs/memory.md has a line for each; those over HTTP/2 are in memory-held-http2.test.ts.
 */
import { measureAttacks } from '../harness/memory-attacks.ts'

measureAttacks('HTTP/1.1 and layer 4')
