// A process of the suite on Node: runs the test files that its parent names, one after another, each as a suite of its own.
import { after, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'

const ready = () => process.connected && process.send('ready')
process.on('message', file =>
  describe(file, async () => {
    try {
      await import(pathToFileURL(file).href)
    } catch (error) {
      it(`${file} loads`, () => {
        throw error
      })
    }
    // Registered last, it runs behind the hooks of the file.
    after(ready)
  }),
)
ready()
// Node 26 sometimes spins for ever in CleanupHandles when it takes a process down whose event loop has emptied, with a
// closed socket still in its list. The loop is empty then and the reports are written: leave by the short way.
process.once('beforeExit', () => process.on('exit', code => process.reallyExit(code)))
