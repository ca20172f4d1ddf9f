import { describe, expect, it } from 'vitest'
import { isEmoji, prose } from '../src/elements/prose.ts'

/** The addresses that a text's links lead to. */
function links(text: string): unknown[] {
  return prose(text).flatMap(part => (typeof part === 'string' ? [] : [part.values[0]]))
}

/** What is read, links as their text. */
function read(text: string): string {
  return prose(text)
    .map(part => (typeof part === 'string' ? part : String(part.values[1])))
    .join('')
}

const HEATING = 'https://en.example.org/wiki/Boiler_(heating)'

describe('links', () => {
  it.each([
    ['see https://a.example/b?c=d, and http://e.example.', ['https://a.example/b?c=d', 'http://e.example']],
    ['javascript:alert(1) data:text/html,x ftp://a b', []],
    [HEATING, [HEATING]],
    ['(see https://example.org/a)', ['https://example.org/a']],
    [`(see ${HEATING})`, [HEATING]],
    [`[{${HEATING}}].`, [HEATING]],
    ['https://example.org/?ids[]=1', ['https://example.org/?ids[]=1']],
    ['https://[::1]:8000/a', ['https://[::1]:8000/a']],
    ['Https://example.org/a', ['Https://example.org/a']],
    ['HTTPS://EXAMPLE.ORG', ['HTTPS://EXAMPLE.ORG']],
    ['看 https://example.org/a，谢谢', ['https://example.org/a']],
    ['看https://example.org/a', ['https://example.org/a']],
    ['https://example.org/a。', ['https://example.org/a']],
    ['（https://example.org/a）', ['https://example.org/a']],
    ['「https://example.org/a」', ['https://example.org/a']],
    ['https://example.org/鍵', ['https://example.org/鍵']],
    ['هنا https://example.org/a؟', ['https://example.org/a']],
    ["https://example.org/o'brien/a", ["https://example.org/o'brien/a"]],
    ["'https://example.org/a'", ['https://example.org/a']],
    ['"https://example.org/a"', ['https://example.org/a']],
    ['„https://example.org/a“', ['https://example.org/a']],
    ['<https://example.org/a>', ['https://example.org/a']],
    ['**https://example.org/a**', ['https://example.org/a']],
    ['https://example.org/a…', ['https://example.org/a']],
    ['https://example.org/a/', ['https://example.org/a/']],
    ['https://example.org/a\u200bb', ['https://example.org/a']],
    ['xhttps://example.org', []],
    ['https:// and http://.', []],
    [`https://example.org/${'('.repeat(20_000)}`, ['https://example.org/']],
  ])('of %s', (text, wanted) => {
    expect(links(text)).toEqual(wanted)
    expect(read(text)).toBe(text)
  })
})

describe('emoji', () => {
  it('knows up to three alone', () => {
    for (const text of ['😅', '😅😅😅', '👍🏽', '👩‍👩‍👧', '🇩🇪', '❤️']) expect(isEmoji(text), text).toBe(true)
    for (const text of ['😅😅😅😅', 'ok 😅', '12', '', '#']) expect(isEmoji(text), text).toBe(false)
  })
})
