// What the JUnit reports of both runtimes say: how many tests passed, which failed and with what, and which took the longest.
import { existsSync, readFileSync, rmSync } from 'node:fs'

const unescaped = text =>
  text
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&(lt|gt|quot|apos);/g, (_, name) => ({ lt: '<', gt: '>', quot: '"', apos: "'" })[name])
    .replaceAll('&amp;', '&')

/** A gateway's whole log may be in it: its beginning and its end. */
const shortened = text => {
  const indented = text.trim().replace(/^/gm, '    ')
  return indented.length > 2_000 ? `${indented.slice(0, 600)}\n    ...\n${indented.slice(-1_400)}` : indented
}

const attribute = (tag, name) => unescaped(new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? '')

export class Results {
  passed = 0
  failed = 0
  skipped = 0
  /** Each failed test with what it said: told once more at the end, where whoever reads only that finds it */
  failures = []
  /** `{ seconds, title }` of each test and each file */
  tests = []
  files = []

  /** Reads a report and removes it. @returns what is wrong with the report, or null; and how many tests failed */
  add(report, runtime) {
    if (!existsSync(report)) return { problem: `${runtime} (no report)`, failed: 0 }
    const text = readFileSync(report, 'utf8')
    rmSync(report)
    const tags = [...text.matchAll(/<(testcase|testsuite)\b[^>]*>/g)]
    for (const [tag, kind] of tags) {
      const title = attribute(tag, 'name')
      const into = kind === 'testcase' ? this.tests : title.endsWith('.test.ts') ? this.files : null
      into?.push({ seconds: Number(attribute(tag, 'time')), title: `${title} (${runtime})` })
    }
    const cases = tags.filter(([, kind]) => kind === 'testcase').length
    const failed = (text.match(/<failure\b/g) ?? []).length
    const skipped = (text.match(/<skipped\b/g) ?? []).length
    for (const [, tag] of text.matchAll(/(<testcase\b[^>]*>)\s*<skipped/g))
      console.log(`skipped on ${runtime}: ${attribute(tag, 'name')}`)
    for (const [, tag, failure] of text.matchAll(/(<testcase\b[^>]*>)\s*(<failure\b[^>]*>)/g)) {
      const where = `${attribute(tag, 'file')}: ${attribute(tag, 'name')}`
      this.failures.push(`on ${runtime}: ${where}\n${shortened(attribute(failure, 'message'))}`)
    }
    this.passed += cases - failed - skipped
    this.failed += failed
    this.skipped += skipped
    return { problem: cases === 0 ? `${runtime} (no test ran)` : null, failed }
  }

  printSlowest() {
    for (const [kind, list] of [
      ['tests', this.tests],
      ['files', this.files],
    ]) {
      console.log(`\nthe slowest ten ${kind}:`)
      for (const { seconds, title } of list.toSorted((a, b) => b.seconds - a.seconds).slice(0, 10))
        console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${title}`)
    }
  }
}
