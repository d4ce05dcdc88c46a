// `npm run docs`: writes the generated pages. With `--check`: writes nothing, exits 1 if one of them is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { demoConfig, exampleBackends } from '../examples/demo/config.ts'
import { mapOf } from '../src/cli/map/model.ts'
import { mapSvg } from '../src/cli/map/svg.ts'
import { jsonSchema } from '../src/config/engine/json-schema.ts'
import { configMarkdown, errorsMarkdown } from '../src/config/engine/markdown.ts'
import { loadConfig } from '../src/config/load.ts'
import { configShape } from '../src/config/schema.ts'
import { Admin } from '../src/control/admin.ts'
import { templatesMarkdown } from '../src/features/markdown.ts'
import { certificateMetricsDefined } from '../src/gateway/certificates/certificate-metrics.ts'
import { Gateway } from '../src/gateway/gateway.ts'
import { accessLogMarkdown } from '../src/observe/access/markdown.ts'
import { gatewayMetricsDefined } from '../src/observe/gateway-metrics.ts'
import { metricsMarkdown } from '../src/observe/metrics-markdown.ts'
import { recordsDroppedTotal } from '../src/observe/process-metrics.ts'
import { clientFieldsMarkdown } from './client-fields.ts'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const check = process.argv.includes('--check')

// Some file that is there stands for the CA, which is not in the picture.
const demo = demoConfig(8443, '.sallyport', path.join(root, 'package.json'), exampleBackends)

const demoLoaded = (await loadConfig({ value: demo })).config
// Neither of them is started: they know their metrics.
const gateway = new Gateway(demoLoaded)
new Admin(gateway)

const pages = {
  'docs/access-log.md': accessLogMarkdown(),
  'docs/config.md': configMarkdown(configShape),
  'docs/config.schema.json': `${JSON.stringify(jsonSchema(configShape), null, 2)}\n`,
  'docs/client-fields.md': clientFieldsMarkdown(),
  'docs/errors.md': errorsMarkdown(),
  'docs/metrics.md': metricsMarkdown(
    [...gateway.metrics.defined(), recordsDroppedTotal],
    [...gatewayMetricsDefined, ...certificateMetricsDefined],
  ),
  'docs/templates.md': templatesMarkdown(),
  'docs/map.svg': mapSvg(mapOf(demoLoaded)),
}

const stale: string[] = []
for (const [name, text] of Object.entries(pages)) {
  const file = path.join(root, name)
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
  stale.push(name)
  if (check) continue
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
}
if (check && stale.length > 0) {
  console.error(`stale: ${stale.join(', ')}; run npm run docs`)
  process.exit(1)
}
console.log(check || stale.length === 0 ? 'generated pages are up to date' : `wrote ${stale.join(', ')}`)
