/**
 * A strict reader of Prometheus' text format 0.0.4. It throws at whatever a lenient scraper might let pass: samples without
 * HELP and TYPE or apart from them, a family that comes twice, two samples with the same labels, stray bytes.
 */

export type Scraped = {
  readonly types: ReadonlyMap<string, string>
  readonly samples: readonly ScrapedSample[]
  /** The one sample with this name and these labels among its own; throws where there is none, or more */
  value(name: string, labels?: Readonly<Record<string, string>>): number
  all(name: string): readonly ScrapedSample[]
}

export type ScrapedSample = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const nameForm = /^[a-zA-Z_:][a-zA-Z0-9_:]*/
const labelForm = /^[a-zA-Z_][a-zA-Z0-9_]*/
const numberForm = /^(?:[+-]?Inf|NaN|[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)$/

const histogramParts = ['_bucket', '_sum', '_count']

export function readExposition(text: string): Scraped {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  if (!text.isWellFormed()) throw new Error('not valid UTF-8')
  const types = new Map<string, string>()
  const helps = new Set<string>()
  const samples: ScrapedSample[] = []
  const seen = new Set<string>()
  let family = ''
  for (const line of text.slice(0, -1).split('\n')) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${JSON.stringify(line)}`)
    }
    if (/[\x00-\x1f\x7f\u2028\u2029]/.test(line)) fail('a control character')
    const about = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    if (about !== null) {
      const [, kind, name, rest] = about as unknown as [string, string, string, string]
      if (kind === 'HELP') {
        if (helps.has(name)) fail('a second HELP')
        if (/\\(?![\\n])/.test(rest)) fail('a bad escape')
        helps.add(name)
        family = name
      } else {
        if (family !== name || types.has(name)) fail('TYPE without its HELP, or twice')
        if (!/^(?:counter|gauge|histogram|summary|untyped)$/.test(rest)) fail('an unknown type')
        if ((rest === 'counter') !== name.endsWith('_total')) fail('_total is for counters, all of them')
        types.set(name, rest)
      }
      continue
    }
    const name = nameForm.exec(line)?.[0] ?? fail('not a sample')
    const isOf =
      types.get(family) === 'histogram' ? histogramParts.some(part => name === family + part) : name === family
    if (!isOf || !types.has(family)) fail('a sample outside its family')
    const [labels, rest] = readLabels(line.slice(name.length), fail)
    if (!rest.startsWith(' ')) fail('no space before the value')
    const value = rest.slice(1)
    if (!numberForm.test(value)) fail('not a number')
    const own = `${name} ${JSON.stringify(Object.entries(labels).sort())}`
    if (seen.has(own)) fail('the same sample twice')
    seen.add(own)
    samples.push({ name, labels, value: Number(value.replace('Inf', 'Infinity')) })
  }
  for (const name of types.keys())
    if (!samples.some(each => histogramParts.concat('').some(part => each.name === name + part)))
      throw new Error(`${name} is empty`)
  const all = (name: string) => samples.filter(each => each.name === name)
  return {
    types,
    samples,
    all,
    value(name, labels = {}) {
      const found = all(name).filter(each =>
        Object.entries(labels).every(([label, value]) => each.labels[label] === value),
      )
      if (found.length !== 1) throw new Error(`${found.length} samples ${name}${JSON.stringify(labels)}`)
      return (found[0] as ScrapedSample).value
    },
  }
}

function readLabels(text: string, fail: (why: string) => never): [Record<string, string>, string] {
  const labels: Record<string, string> = {}
  if (!text.startsWith('{')) return [labels, text]
  let at = 1
  for (;;) {
    const name = labelForm.exec(text.slice(at))?.[0] ?? fail('not a label')
    if (Object.hasOwn(labels, name)) fail('a label twice')
    at += name.length
    if (text.slice(at, at + 2) !== '="') fail('no ="')
    at += 2
    let value = ''
    while (text[at] !== '"') {
      if (at >= text.length) fail('an open quote')
      if (text[at] !== '\\') {
        value += text[at++]
        continue
      }
      const escaped = { '\\': '\\', '"': '"', n: '\n' }[text[at + 1] as string] ?? fail('a bad escape')
      value += escaped
      at += 2
    }
    labels[name] = value
    at++
    if (text[at] === '}') return [labels, text.slice(at + 1)]
    if (text[at] !== ',') fail('no comma between labels')
    at++
  }
}
