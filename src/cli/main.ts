/**
 * Where a process begins. Loading everything takes a while, and a signal that nobody catches by then would kill a gateway
 * that is starting: so a verb that serves catches signals first.
 */
import { servingSignals } from '../process/signals.ts'

const argv = process.argv.slice(2)
const signals = servingSignals(argv[0])
const { command } = await import('./command.ts')
await command(argv, signals)
