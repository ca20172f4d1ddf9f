import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { splitText } from '../src/elements/composer/split-text.ts'

const SPACE = /\s+/g
const length = (text: string) => [...text].length

describe('a text that is too long', () => {
  it.each([
    ['after a paragraph', 'One two.\n\nThree four', 14, ['One two.', 'Three four']],
    ['after a line', 'One. Two\nthree four', 14, ['One. Two', 'three four']],
    ['after a sentence', 'One two. Three four five', 14, ['One two.', 'Three four', 'five']],
    ['after a quoted sentence', '“One two.” Three four', 14, ['“One two.”', 'Three four']],
    ['after a sentence without spaces', '你好吗。我很好谢谢你', 7, ['你好吗。', '我很好谢谢你']],
    ['after a word', 'One two three', 9, ['One two', 'three']],
    ['within a word that is too long', 'abcdefgh', 3, ['abc', 'def', 'gh']],
    ['where white space follows', 'One two', 3, ['One', 'two']],
    ['not within a character', 'ab👩‍👩‍👧cd', 5, ['ab', '👩‍👩‍👧', 'cd']],
  ])('is split %s', (_where, text, max, parts) => {
    expect(splitText(text, max)).toEqual(parts)
  })

  it('loses nothing but white space, and no part is too long or blank', () => {
    const texts = fc
      .array(
        fc.oneof(fc.constantFrom(' ', '\n', '\n\n', '. ', '。', '! '), fc.string({ unit: 'grapheme' })),
        {
          maxLength: 60,
        },
      )
      .map(parts => parts.join(''))
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 40 }), (text, max) => {
        const parts = splitText(text, max)
        for (const part of parts) {
          expect(length(part)).toBeLessThanOrEqual(max)
          expect(part).toBe(part.trim())
          expect(part).not.toBe('')
        }
        const visible = (one: string) => one.replace(SPACE, '').replace(/[\u200b-\u200f\u2060\ufeff]/g, '')
        expect(visible(parts.join(''))).toBe(visible(text))
      }),
    )
  })

  it('of the largest size that is offered is split in its time', () => {
    for (const part of ['a', 'a ', '\n', '. ', '👍', '\n\n', 'e\u0301']) {
      const start = performance.now()
      splitText(part.repeat(80_000 / part.length), 4_000)
      expect(performance.now() - start).toBeLessThan(500)
    }
  })
})
