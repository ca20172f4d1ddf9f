import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'

const DIST = new URL('../dist', import.meta.url).pathname

/** What the tag may weigh on the wire, with everything that it loads at once: in brotli, as a browser gets it. */
const TAG_BYTES_MAX = 30_000
/** What the whole page loads at once. */
const PAGE_BYTES_MAX = 55_000
/** How much more it may be for a client that only takes gzip. */
const GZIP_SHARE_MAX = 1.15

/** Gives a module's file and those of all that it imports statically. */
function closure(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found
  found.add(file)
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:import|from)\s*["'`](\.[^"'`]+)["'`]/g)) {
    const other = path!.startsWith('./chat/')
      ? join(DIST, path!.slice('./chat/'.length))
      : join(file, '..', path!)
    closure(other, found)
  }
  return found
}

/** What the server sends for `files`: the compressed form that lies beside each, where it is smaller. */
function weight(files: Iterable<string>, end: '.br' | '.gz'): number {
  return [...files].reduce((sum, file) => sum + statSync(existsSync(file + end) ? file + end : file).size, 0)
}

/** Checks what a closure of modules weighs, in both encodings. */
function expectAtMost(bytes_max: number, files: Set<string>): void {
  expect(files.size).toBeGreaterThan(1)
  expect(weight(files, '.br')).toBeLessThanOrEqual(bytes_max)
  expect(weight(files, '.gz')).toBeLessThanOrEqual(bytes_max * GZIP_SHARE_MAX)
}

describe('what is built', () => {
  it(`is a tag of at most ${TAG_BYTES_MAX} bytes with all that it loads at once`, () => {
    expectAtMost(TAG_BYTES_MAX, closure(join(DIST, 'chat-room.js')))
  })

  it(`is a page of at most ${PAGE_BYTES_MAX} bytes`, () => {
    const html = readFileSync(join(DIST, 'index.html'), 'utf8')
    const scripts = [...html.matchAll(/src="\/chat\/([^"]+\.js)"/g)].map(([, path]) => join(DIST, path!))
    const files = new Set<string>()
    for (const script of scripts) closure(script, files)
    expectAtMost(PAGE_BYTES_MAX, files)
  })

  it('lies compressed beside itself, and means the same', () => {
    const all = readdirSync(DIST, { recursive: true, encoding: 'utf8' })
    const texts = all.filter(name => ['.js', '.css', '.json', '.svg', '.html'].includes(extname(name)))
    for (const name of texts.map(name => join(DIST, name))) {
      if (statSync(name).size < 200) continue
      const plain = readFileSync(name)
      expect(brotliDecompressSync(readFileSync(`${name}.br`)).equals(plain)).toBe(true)
      expect(gunzipSync(readFileSync(`${name}.gz`)).equals(plain)).toBe(true)
    }
  })

  it('has nothing inline and nothing from elsewhere', () => {
    const html = readFileSync(join(DIST, 'index.html'), 'utf8')
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)/)
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=/)
    expect(
      [...html.matchAll(/(?:src|href)="([^"]+)"/g)].filter(([, path]) => !path!.startsWith('/chat/')),
    ).toEqual([])
  })
})
