/**
 * What every hostile peer of test/harness/memory-attacks.ts can make the gateway hold: at most 2 MB for a connection of
 * HTTP/1.1 or layer 4, and 64 kB for a stream of HTTP/2 beyond its window. docs/memory.md has a line for each.
 */
import { measureAttacks } from '../harness/memory-attacks.ts'

measureAttacks(null)
