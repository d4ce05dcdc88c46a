// A process of the suite on Node: runs the test files that its parent names, one after another, each as a suite of its own.
import { after, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'

const ready = () => process.connected && process.send('ready')
process.on('message', file =>
  describe(file, async () => {
    try {
      await import(pathToFileURL(file).href)
    } catch (error) {
      it('loads', () => {
        throw error
      })
    }
    // Registered last, it runs behind the hooks of the file.
    after(ready)
  }),
)
ready()
