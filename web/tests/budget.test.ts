import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'

const DIST = new URL('../dist', import.meta.url).pathname

/** Maximum size of the tag with everything that it loads immediately, brotli-compressed as browsers get it. */
const TAG_BYTES_MAX = 30_000
/** Maximum size of everything that the whole page loads immediately. */
const PAGE_BYTES_MAX = 55_000
/** Maximum size for a client that accepts only gzip, relative to brotli. */
const GZIP_SHARE_MAX = 1.15

/** Returns a module's file and the files that it imports statically. */
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

/** Returns the size of `files` as the server sends them: compressed where that is smaller. */
function weight(files: Iterable<string>, end: '.br' | '.gz'): number {
  return [...files].reduce((sum, file) => sum + statSync(existsSync(file + end) ? file + end : file).size, 0)
}

/** Checks the size of a set of modules in both encodings. */
function expectAtMost(bytes_max: number, files: Set<string>): void {
  expect(files.size).toBeGreaterThan(1)
  expect(weight(files, '.br')).toBeLessThanOrEqual(bytes_max)
  expect(weight(files, '.gz')).toBeLessThanOrEqual(bytes_max * GZIP_SHARE_MAX)
}

describe('the build', () => {
  it(`yields a tag of at most ${TAG_BYTES_MAX} bytes with everything that it loads immediately`, () => {
    expectAtMost(TAG_BYTES_MAX, closure(join(DIST, 'chat-room.js')))
  })

  it(`yields a page of at most ${PAGE_BYTES_MAX} bytes`, () => {
    const html = readFileSync(join(DIST, 'index.html'), 'utf8')
    const scripts = [...html.matchAll(/src="\/chat\/([^"]+\.js)"/g)].map(([, path]) => join(DIST, path!))
    const files = new Set<string>()
    for (const script of scripts) closure(script, files)
    expectAtMost(PAGE_BYTES_MAX, files)
  })

  it('stores compressed copies with identical content', () => {
    const all = readdirSync(DIST, { recursive: true, encoding: 'utf8' })
    const texts = all.filter(name => ['.js', '.css', '.json', '.svg', '.html'].includes(extname(name)))
    for (const name of texts.map(name => join(DIST, name))) {
      if (statSync(name).size < 200) continue
      const plain = readFileSync(name)
      expect(brotliDecompressSync(readFileSync(`${name}.br`)).equals(plain)).toBe(true)
      expect(gunzipSync(readFileSync(`${name}.gz`)).equals(plain)).toBe(true)
    }
  })

  it('has no inline code and no external resources', () => {
    const html = readFileSync(join(DIST, 'index.html'), 'utf8')
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)/)
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=/)
    expect(
      [...html.matchAll(/(?:src|href)="([^"]+)"/g)].filter(([, path]) => !path!.startsWith('/chat/')),
    ).toEqual([])
  })
})
