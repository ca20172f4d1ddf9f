import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'

const DIST = new URL('../dist', import.meta.url).pathname

/** What the tag may weigh in brotli, as a browser can get it, with everything that it loads at once. */
const TAG_BYTES_MAX = 30_000
/** What the whole page loads at once. */
const PAGE_BYTES_MAX = 55_000

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

function weight(files: Iterable<string>): number {
  return [...files].reduce((sum, file) => sum + brotliCompressSync(readFileSync(file)).length, 0)
}

describe('what is built', () => {
  it(`is a tag of at most ${TAG_BYTES_MAX} bytes with all that it loads at once`, () => {
    const files = closure(join(DIST, 'chat-room.js'))
    expect(files.size).toBeGreaterThan(1)
    expect(weight(files)).toBeLessThanOrEqual(TAG_BYTES_MAX)
  })

  it(`is a page of at most ${PAGE_BYTES_MAX} bytes`, () => {
    const page = /src="\/chat\/([^"]+\.js)"/.exec(readFileSync(join(DIST, 'index.html'), 'utf8'))![1]!
    expect(weight(closure(join(DIST, page)))).toBeLessThanOrEqual(PAGE_BYTES_MAX)
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
