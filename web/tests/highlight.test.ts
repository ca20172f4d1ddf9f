import { describe, expect, it } from 'vitest'
import { highlightedParts, inUtf16 } from '../src/elements/search/highlight.ts'
import { plainParts } from '../src/elements/text/plain.ts'

/** Returns a result as text in which marked parts are in brackets. */
function shown(text: string, ranges: { start: number; end: number }[]): string {
  return highlightedParts(text, plainParts(text), inUtf16(text, ranges))
    .map(part => (part.marked ? `[${part.text}]` : part.text))
    .join('')
}

describe('a search result', () => {
  it.each([
    ['The boiler is off', [{ start: 4, end: 10 }], 'The [boiler] is off'],
    ['**boiler** off', [{ start: 2, end: 8 }], '[boiler] off'],
    ['a **b** c', [{ start: 0, end: 9 }], '[a b c]'],
    ['👍👍 boiler', [{ start: 3, end: 9 }], '👍👍 [boiler]'],
    [
      'one two',
      [
        { start: 0, end: 3 },
        { start: 4, end: 7 },
      ],
      '[one] [two]',
    ],
    ['short', [{ start: 3, end: 99 }], 'sho[rt]'],
    ['nothing', [], 'nothing'],
    [`${'x'.repeat(60)} boiler`, [{ start: 61, end: 67 }], `…${'x'.repeat(39)} [boiler]`],
    ['> quoted\n> boiler', [{ start: 11, end: 17 }], 'quoted\n[boiler]'],
  ])('of %j is marked', (text, ranges, wanted) => {
    expect(shown(text, ranges)).toBe(wanted)
  })
})
