/** As memory-held-http1.test.ts, over HTTP/2: at most 64 kB for a stream beyond its window. */
import { measureAttacks } from '../harness/memory-attacks.ts'

measureAttacks('HTTP/2')
