/**
 * The house's order, held by reading every source file: who imports whom (types count), no cycles, one file that knows
 * the runtime, short files with a header. All violations are listed at once.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { registered, withoutInput } from './linear-work/registered.ts'

const root = path.resolve(import.meta.dirname, '../..')
const maxLines = 400

/** From the bottom up. A folder imports itself and the layers below; folders of one layer never import each other. */
const layers: readonly (readonly string[])[] = [
  ['base'],
  ['wire'],
  ['model'],
  // The seam between the runtimes' sockets and the rest: used by proxy, and by whatever else opens a connection.
  ['transport'],
  [
    'proxy',
    'route',
    'filters',
    'tls',
    'certs',
    'acme',
    'acme-server',
    'vault',
    'health',
    'observe',
    'storage',
    'config/engine',
  ],
  ['features'],
  ['config'],
  ['gateway'],
  ['control'],
  ['process'],
  ['cli'],
]

/** Where a folder has folders of its own, in the same manner; files beside those stand above them. */
const innerLayers: Readonly<Record<string, readonly (readonly string[])[]>> = {
  certs: [['x509'], ['files'], ['managed', 'ca']],
  gateway: [['certificates']],
  proxy: [['seam'], ['exchange'], ['http1', 'http2'], ['upstream'], ['layer4'], ['accept']],
}

/** `src/index.ts` and other files beside it stand where cli stands. What reads options knows none of them, and stands by itself. */
function folderOf(file: string): string {
  if (file.startsWith('src/config/engine/')) return 'config/engine'
  const [, folder, rest] = file.split('/')
  return rest === undefined ? 'cli' : folder
}

const levelOf = (folder: string) => layers.findIndex(layer => layer.includes(folder))

type Source = {
  /** From the root of the project, with forward slashes */
  readonly file: string
  readonly text: string
  /** Comments blanked out */
  readonly code: string
  /** Comments and the content of strings blanked out */
  readonly bare: string
  readonly imports: readonly string[]
}

/**
 * Blanks comments, and in `bare` the content of strings and templates as well (not what is inside `${}`). Lengths and lines
 * stay. A slash begins a regular expression where a value may begin.
 */
function blank(text: string): { code: string; bare: string } {
  let code = ''
  let bare = ''
  /** For each template we are inside of, how many braces are open in its `${}` */
  const templates: number[] = []
  let at = 0
  const keep = (end: number) => {
    code += text.slice(at, end)
    bare += text.slice(at, end)
    at = end
  }
  const drop = (end: number, fromCode: boolean) => {
    const gone = text.slice(at, end).replace(/[^\n]/g, ' ')
    code += fromCode ? gone : text.slice(at, end)
    bare += gone
    at = end
  }
  /** The text of a template up to its end or the next `${`. */
  const template = () => {
    let end = at
    while (end < text.length && text[end] !== '`' && !text.startsWith('${', end)) end += text[end] === '\\' ? 2 : 1
    drop(end, false)
    if (text[at] === '`') keep(at + 1)
    else {
      keep(at + 2)
      templates.push(0)
    }
  }
  while (at < text.length) {
    const char = text[at]
    if (text.startsWith('//', at)) {
      const end = text.indexOf('\n', at)
      drop(end < 0 ? text.length : end, true)
    } else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2)
      drop(end < 0 ? text.length : end + 2, true)
    } else if (char === '"' || char === "'") {
      let end = at + 1
      while (end < text.length && text[end] !== char && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1
      keep(at + 1)
      drop(end, false)
      keep(Math.min(at + 1, text.length))
    } else if (char === '/' && /(^|[(,=:[!&|?{};+~]|=>|\b(return|typeof|case|in|of))\s*$/.test(bare.slice(-40))) {
      let end = at + 1
      let inClass = false
      while (end < text.length && text[end] !== '\n' && (inClass || text[end] !== '/')) {
        if (text[end] === '[') inClass = true
        if (text[end] === ']') inClass = false
        end += text[end] === '\\' ? 2 : 1
      }
      drop(Math.min(end + 1, text.length), false)
    } else if (char === '`') {
      keep(at + 1)
      template()
    } else if (char === '}' && templates.at(-1) === 0) {
      templates.pop()
      keep(at + 1)
      template()
    } else {
      if (templates.length > 0 && char === '{') templates[templates.length - 1]++
      if (templates.length > 0 && char === '}') templates[templates.length - 1]--
      keep(at + 1)
    }
  }
  return { code, bare }
}

/** Every module that a file names: import and export from, bare imports, import() as value and as type, require(). */
function importsOf(code: string, bare: string): string[] {
  const found: string[] = []
  for (const match of bare.matchAll(/\b(?:from|import|require)\b\s*\(?\s*(?=['"`])/g)) {
    // The same place in `code`, where strings still have their content.
    const literal = /^(['"`])(.*?)\1/.exec(code.slice(match.index + match[0].length))
    if (literal) found.push(literal[2])
  }
  return found
}

function readSource(file: string, text: string): Source {
  const { code, bare } = blank(text)
  return { file, text, code, bare, imports: importsOf(code, bare) }
}

const isRelative = (specifier: string) => specifier.startsWith('./') || specifier.startsWith('../')

const targetOf = (source: Source, specifier: string) => path.posix.join(path.posix.dirname(source.file), specifier)

function layerProblems(sources: readonly Source[]): string[] {
  const problems: string[] = []
  for (const source of sources) {
    const folder = folderOf(source.file)
    const level = levelOf(folder)
    if (level < 0) problems.push(`${source.file}: the folder '${folder}' has no place in test/unit/layers.test.ts`)
    for (const specifier of source.imports.filter(isRelative)) {
      const target = targetOf(source, specifier)
      if (!target.startsWith('src/')) {
        problems.push(`${source.file}: imports ${specifier}, which is outside src`)
        continue
      }
      const other = folderOf(target)
      if (level < 0 || levelOf(other) < 0 || other === folder || levelOf(other) < level) continue
      const why = levelOf(other) === level ? 'beside it' : 'above it'
      problems.push(`${source.file}: '${folder}' imports '${other}' (${specifier}), which is ${why}`)
    }
  }
  return problems
}

function innerProblems(sources: readonly Source[]): string[] {
  const problems: string[] = []
  const placeOf = (file: string) => {
    const [, folder = '', inner = '', rest] = file.split('/')
    const order = innerLayers[folder]
    if (order === undefined) return null
    if (rest === undefined) return { folder, inner: '', level: order.length }
    return { folder, inner, level: order.findIndex(layer => layer.includes(inner)) }
  }
  for (const source of sources) {
    const from = placeOf(source.file)
    if (from === null) continue
    if (from.level < 0) problems.push(`${source.file}: '${from.folder}/${from.inner}' has no place in innerLayers`)
    for (const specifier of source.imports.filter(isRelative)) {
      const to = placeOf(targetOf(source, specifier))
      if (to === null || to.folder !== from.folder || to.inner === from.inner || to.level < from.level) continue
      const why = to.level === from.level ? 'beside it' : 'above it'
      problems.push(
        `${source.file}: '${from.inner}' imports '${to.inner || to.folder}' (${specifier}), which is ${why}`,
      )
    }
  }
  return problems
}

/** Each cycle once, as the files on it. */
function cycles(sources: readonly Source[]): string[] {
  const graph = new Map(
    sources.map(source => [source.file, source.imports.filter(isRelative).map(to => targetOf(source, to))]),
  )
  const found: string[] = []
  const done = new Set<string>()
  const stack: string[] = []
  const visit = (file: string) => {
    const open = stack.indexOf(file)
    if (open >= 0) found.push([...stack.slice(open), file].join(' -> '))
    if (open >= 0 || done.has(file)) return
    stack.push(file)
    for (const next of graph.get(file) ?? []) visit(next)
    stack.pop()
    done.add(file)
  }
  for (const file of graph.keys()) visit(file)
  return found.map(cycle => `import cycle: ${cycle}`)
}

const builtins = new Set(
  'assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain events fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl stream string_decoder timers tls tty url util v8 vm wasi worker_threads zlib'.split(
    ' ',
  ),
)

function importFormProblems(sources: readonly Source[]): string[] {
  const problems: string[] = []
  for (const { file, imports } of sources) {
    for (const specifier of imports) {
      const [first] = specifier.split('/')
      if (builtins.has(first)) problems.push(`${file}: imports '${specifier}' without 'node:'`)
      if (isRelative(specifier) && !/\.(ts|json)$/.test(specifier))
        problems.push(`${file}: imports '${specifier}' without '.ts'`)
    }
  }
  return problems
}

const runtimeFile = 'src/base/runtime.ts'

function runtimeProblems(sources: readonly Source[]): string[] {
  const problems: string[] = []
  for (const { file, code, bare, imports } of sources) {
    if (file === runtimeFile) continue
    const uses: [string, RegExp, string][] = [
      ['globalThis.Bun', /\bglobalThis\b[^;\n]{0,40}\bBun\b/, bare],
      ['Bun', /(?<![\w$.])Bun\s*(\?\.|\.|\[)/, bare],
      ['typeof Bun', /\btypeof\s+Bun\b/, bare],
      ['process.versions.bun', /\bversions\s*(\?\.|\.|\??\.?\[\s*['"`])\s*bun\b/, code],
    ]
    for (const [name, pattern, text] of uses) {
      const found = pattern.exec(text)
      if (!found) continue
      const line = text.slice(0, found.index).split('\n').length
      problems.push(`${file}:${line}: mentions ${name}; only ${runtimeFile} may`)
    }
    for (const specifier of imports) {
      if (/^bun(:|$)/.test(specifier)) problems.push(`${file}: imports '${specifier}'; only ${runtimeFile} may`)
    }
  }
  return problems
}

function shapeProblems(sources: readonly Source[]): string[] {
  const problems: string[] = []
  for (const { file, text } of sources) {
    const lines = text.replace(/\n$/, '').split('\n').length
    if (lines > maxLines) problems.push(`${file}: ${lines} lines, the most is ${maxLines}: split it`)
    const body = text.startsWith('#!') ? text.slice(text.indexOf('\n') + 1) : text
    if (!body.startsWith('/**') && !body.startsWith('//'))
      problems.push(`${file}: no header that says what the file is`)
    if (!/^[a-z0-9]+([.-][a-z0-9]+)*\.ts$/.test(path.posix.basename(file))) problems.push(`${file}: not kebab-case`)
  }
  return problems
}

/** What is read from peers and configurations is read here; a file with functions is registered, or listed as none. */
const readingFolders = ['src/wire/', 'src/route/', 'src/base/log', 'src/base/visible', 'src/base/ip']

const exportsWork = (bare: string) =>
  /^export (?:async )?(?:function|class)|^export const \w+ = (?:async )?\(/m.test(bare)

/** docs/linear-work.md: nothing that the network or a configuration feeds costs more than linear time. */
function workProblems(sources: readonly Source[], known: ReadonlySet<string>, none: ReadonlySet<string>): string[] {
  const problems: string[] = []
  for (const { file, bare, code } of sources) {
    if (readingFolders.some(folder => file.startsWith(folder)) && exportsWork(bare)) {
      if (!known.has(file) && !none.has(file))
        problems.push(`${file}: not registered in test/unit/linear-work (docs/linear-work.md)`)
    }
    if (
      file.startsWith('src/cli/') &&
      file !== 'src/cli/print.ts' &&
      /\bprocess\.std(?:out|err)\.write\b/.test(bare)
    )
      problems.push(`${file}: writes to the terminal itself; use print (src/cli/print.ts)`)
    if (/\bRegExp\s*\(/.test(bare))
      problems.push(`${file}: builds a regular expression; match in linear time instead`)
    if (/Buffer\.concat\(\[\s*(?:this\.)?\w+,\s*(?:chunk|part|piece|bytes)\b[^,]*\]\)/.test(code))
      problems.push(`${file}: joins what came before with each piece; use Gathered (src/base/gathered.ts)`)
  }
  for (const file of [...known, ...none])
    if (!sources.some(source => source.file === file)) problems.push(`${file}: registered, and not there`)
  return problems
}

function readSources(): Source[] {
  const names = readdirSync(path.join(root, 'src'), { recursive: true }).map(
    name => `src/${String(name).split(path.sep).join('/')}`,
  )
  return names
    .filter(name => name.endsWith('.ts'))
    .sort()
    .map(name => readSource(name, readFileSync(path.join(root, name), 'utf8')))
}

test('every source file keeps the order of the house', () => {
  const sources = readSources()
  assert.ok(sources.length > 10, `only ${sources.length} source files found under ${root}/src`)
  // A test that finds no imports would pass whatever the files do.
  const imports = sources.reduce((sum, source) => sum + source.imports.filter(isRelative).length, 0)
  assert.ok(imports > sources.length / 2, `only ${imports} imports found in ${sources.length} files`)
  const problems = [
    layerProblems,
    innerProblems,
    cycles,
    importFormProblems,
    runtimeProblems,
    shapeProblems,
    (all: readonly Source[]) =>
      workProblems(all, new Set(registered.map(({ file }) => file)), new Set(Object.keys(withoutInput))),
  ].flatMap(check => check(sources))
  assert.ok(problems.length === 0, `${problems.length} problems:\n${problems.join('\n')}\n`)
})

describe('the checks themselves see', () => {
  const check = (rule: (sources: readonly Source[]) => string[], files: Record<string, string>) =>
    rule(Object.entries(files).map(([file, text]) => readSource(file, text)))

  test('imports of every form, also of types, and none in comments and strings', () => {
    const { imports } = readSource(
      'src/base/a.ts',
      [
        "import type { A } from './a1.ts'",
        "import {\n  b,\n  type B,\n} from './a2.ts'",
        "export * from './a3.ts'",
        "export { c } from './a4.ts'",
        "import './a5.ts'",
        "const d = await import('./a6.ts')",
        "type E = import('./a7.ts').E",
        'import g, * as h from "./a8.ts"',
        "// import x from './no1.ts'",
        "/* import x from './no2.ts' */",
        'const s = "import x from \'./no3.ts\'"',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: source text for the scanner
        "const t = `import './no4.ts' ${f(`${'}'}`)} from './no5.ts'`",
        `const r = /['"\`]\\/[/'"]/.test(x) ? 1 / 2 / 3 : y`,
        "export type { Z } from './a9.ts'",
      ].join('\n'),
    )
    assert.deepEqual(
      imports,
      [1, 2, 3, 4, 5, 6, 7, 8, 9].map(number => `./a${number}.ts`),
    )
  })

  test('an import upwards, beside, out of src, and a folder without a place', () => {
    const problems = check(layerProblems, {
      'src/base/a.ts': "import type { X } from '../wire/x.ts'",
      'src/certs/a.ts':
        "import { x } from '../tls/x.ts'\nimport { y } from './y.ts'\nimport { z } from '../base/z.ts'",
      'src/gateway/a.ts': "import '../cli/main.ts'\nimport '../proxy/x.ts'",
      'src/gateway/deep/b.ts': "import '../c.ts'\nimport '../../index.ts'",
      'src/index.ts': "import './gateway/a.ts'\nimport '../test/x.ts'",
      'src/other/a.ts': '',
    })
    assert.deepEqual(problems, [
      "src/base/a.ts: 'base' imports 'wire' (../wire/x.ts), which is above it",
      "src/certs/a.ts: 'certs' imports 'tls' (../tls/x.ts), which is beside it",
      "src/gateway/a.ts: 'gateway' imports 'cli' (../cli/main.ts), which is above it",
      "src/gateway/deep/b.ts: 'gateway' imports 'cli' (../../index.ts), which is above it",
      'src/index.ts: imports ../test/x.ts, which is outside src',
      "src/other/a.ts: the folder 'other' has no place in test/unit/layers.test.ts",
    ])
  })

  test('an import upwards or beside within a folder, and an inner folder without a place', () => {
    const problems = check(innerProblems, {
      'src/certs/x509/a.ts': "import '../files/b.ts'\nimport './c.ts'\nimport '../../base/x.ts'",
      'src/certs/managed/a.ts': "import '../ca/b.ts'\nimport '../x509/a.ts'\nimport '../top.ts'",
      'src/certs/top.ts': "import './managed/a.ts'",
      'src/certs/new/a.ts': '',
      'src/cli/verbs/a.ts': "import '../main.ts'",
    })
    assert.deepEqual(problems, [
      "src/certs/x509/a.ts: 'x509' imports 'files' (../files/b.ts), which is above it",
      "src/certs/managed/a.ts: 'managed' imports 'ca' (../ca/b.ts), which is beside it",
      "src/certs/managed/a.ts: 'managed' imports 'certs' (../top.ts), which is above it",
      "src/certs/new/a.ts: 'certs/new' has no place in innerLayers",
    ])
  })

  test('a cycle, also of types', () => {
    const problems = check(cycles, {
      'src/base/a.ts': "import type { X } from './b.ts'",
      'src/base/b.ts': "import './c.ts'",
      'src/base/c.ts': "import './a.ts'",
      'src/base/d.ts': "import './a.ts'",
    })
    assert.deepEqual(problems, ['import cycle: src/base/a.ts -> src/base/b.ts -> src/base/c.ts -> src/base/a.ts'])
  })

  test('the runtime in code, not in comments, strings, types of our own or the one file', () => {
    const bad = {
      'src/base/a.ts': 'Bun.listen({})',
      'src/base/b.ts': '(globalThis as { Bun?: X }).Bun',
      'src/base/c.ts': "process.versions['bun']",
      'src/base/d.ts': 'if (process.versions.bun) {}',
      'src/base/e.ts': "import { x } from 'bun'\nimport { y } from 'bun:test'",
      'src/base/f.ts': "typeof Bun !== 'undefined'",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: source text for the scanner
      'src/base/g.ts': 'const t = `${Bun.version}`',
    }
    const files = check(runtimeProblems, bad).map(problem => /^[\w/]+\.ts/.exec(problem)?.[0])
    assert.deepEqual([...new Set(files)], Object.keys(bad))
    const good = {
      'src/base/a.ts':
        "// Bun.listen is fast. So is Bun.\nconst s = 'on Bun.'\nconst t = `Bun.x`\nimport type { BunApi } from './runtime.ts'",
      'src/base/runtime.ts': 'globalThis.Bun; Bun.listen; process.versions.bun',
      'src/base/b.ts': 'const Bunny = 1; Bunny.x; a.Bun.x',
    }
    assert.deepEqual(check(runtimeProblems, good), [])
  })

  test('a parser that is not registered, an expression that is built, and joining in a loop', () => {
    const files = {
      'src/wire/a.ts': 'export function parse() {}',
      'src/wire/b.ts': 'export class Reader {}',
      'src/wire/c.ts': 'export const read = (text: string) => text',
      'src/wire/d.ts': 'export const table = { a: 1 }\nexport type A = 1',
      'src/wire/e.ts': 'export function known() {}',
      'src/route/f.ts': 'export function none() {}',
      'src/base/g.ts': 'const x = new RegExp(text)',
      'src/base/h.ts': 'held = Buffer.concat([this.held, chunk])',
      'src/base/i.ts': "const all = Buffer.concat([head, body])\n// new RegExp(text)\nconst s = 'RegExp('",
    }
    const rule = (sources: readonly Source[]) =>
      workProblems(sources, new Set(['src/wire/e.ts', 'src/wire/gone.ts']), new Set(['src/route/f.ts']))
    assert.deepEqual(
      check(rule, files).map(problem => problem.split(':')[0]),
      ['src/wire/a.ts', 'src/wire/b.ts', 'src/wire/c.ts', 'src/base/g.ts', 'src/base/h.ts', 'src/wire/gone.ts'],
    )
  })

  test('builtins without node:, imports without .ts, long files, missing headers, other file names', () => {
    assert.deepEqual(
      check(importFormProblems, {
        'src/base/a.ts':
          "import 'fs'\nimport 'fs/promises'\nimport './b'\nimport 'node:fs'\nimport './c.ts'\nimport 'yaml'",
      }),
      [
        "src/base/a.ts: imports 'fs' without 'node:'",
        "src/base/a.ts: imports 'fs/promises' without 'node:'",
        "src/base/a.ts: imports './b' without '.ts'",
      ],
    )
    const lines = (count: number) => `// header\n${'x\n'.repeat(count - 1)}`
    assert.deepEqual(
      check(shapeProblems, {
        'src/base/a.ts': lines(400),
        'src/base/b.ts': lines(401),
        'src/base/c.ts': 'import x',
        'src/base/fooBar.ts': '/** x */',
        'src/cli/main.ts': '#!/usr/bin/env bun\n/** x */',
      }),
      [
        'src/base/b.ts: 401 lines, the most is 400: split it',
        'src/base/c.ts: no header that says what the file is',
        'src/base/fooBar.ts: not kebab-case',
      ],
    )
  })
})
