/** Names of files and folders in the pages: what a page speaks of is there. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'

const root = path.resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const pages = ['.', 'docs'].flatMap(folder =>
  readdirSync(path.join(root, folder))
    .filter(file => file.endsWith('.md'))
    .map(file => path.join(folder, file)),
)

describe('the names in the pages', () => {
  const folders = readdirSync(path.join(root, 'src'), { withFileTypes: true }).filter(entry => entry.isDirectory())
  const here = pages.filter(page => page !== 'CHANGELOG.md')

  it('of files are those of files that are there', () => {
    for (const page of here)
      for (const [, file] of read(page).matchAll(/`((?:src|test|docs|scripts|bin|examples)\/[\w./-]+)`/g))
        assert.ok(existsSync(path.join(root, file as string)), `${page}: ${file}`)
  })

  for (const page of ['ARCHITECTURE.md', 'CONTRIBUTING.md']) {
    it(`of layers in ${page} are the folders of src`, () => {
      const [line] = /`base <-[^`]*cli`/.exec(read(page)) as RegExpExecArray
      const named: readonly string[] = line.match(/[a-z][a-z/-]*/g) ?? []
      for (const name of named) assert.ok(existsSync(path.join(root, 'src', name)), `src/${name}`)
      for (const { name } of folders) assert.ok(named.includes(name), `src/${name} has no place in it`)
    })
  }

  it('in the folders of ARCHITECTURE.md are those of files and folders that are there', () => {
    const [, listing] = /\nsrc\/\n([\s\S]*?)```/.exec(read('ARCHITECTURE.md')) as RegExpExecArray
    let folder = ''
    let inner = ''
    let count = 0
    for (const line of (listing as string).split('\n')) {
      const [, indent, name, rest] = /^( *)(?:([a-z0-9-]+)\/(?: {2,}|$))?(.*)$/.exec(line) as RegExpExecArray
      if (name !== undefined) {
        if (indent === '  ') [folder, inner] = [name, '']
        else inner = name
        assert.ok(existsSync(path.join(root, 'src', folder, inner)), `src/${folder}/${inner}`)
      }
      // Names stand in columns; what is said about one stands in parentheses or before a colon.
      const columns = (rest as string).replace(/\([^)]*\)?/g, '').split(/ {2,}|; /)
      for (const column of columns.map(each => each.replace(/^.*: /, '').trim())) {
        if (!/^[a-z0-9]+(-[a-z0-9]+)*(-\*)?\/?$/.test(column)) continue
        const at = path.join(root, 'src', folder, inner)
        const wanted = column.replace(/\/$/, '').replace(/-\*$/, '-')
        const found = readdirSync(at).some(file =>
          wanted.endsWith('-') ? file.startsWith(wanted) : file === wanted || file === `${wanted}.ts`,
        )
        assert.ok(found, `ARCHITECTURE.md: ${column} is not in src/${folder}/${inner}`)
        count++
      }
    }
    assert.ok(count > 80, `${count}`)
  })
})
