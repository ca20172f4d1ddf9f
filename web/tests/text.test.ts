import fc from 'fast-check'
import type { TemplateResult } from 'lit'
import { describe, expect, it } from 'vitest'
import { isEmojiOnly } from '../src/elements/text/emoji-only.ts'
import { formatText, plainText } from '../src/elements/text/format.ts'
import { findLinks } from '../src/elements/text/links.ts'
import { plainParts } from '../src/elements/text/plain.ts'

/** A text may have this length: longer ones than a new message can have come from imports. */
const LENGTH_MAX = 20_000
/** Time within which any text is formatted; most take less than a millisecond. */
const FORMAT_MS = 500

const ROOT = { adoptedStyleSheets: [] as unknown[] } as unknown as ShadowRoot

/** Renders content as markup, without attributes that are the same for all links. */
function markup(content: unknown): string {
  if (Array.isArray(content)) return content.map(markup).join('')
  if (content === null || typeof content !== 'object' || !('strings' in content)) {
    return /string|number/.test(typeof content) ? String(content).replaceAll('<', '&lt;') : ''
  }
  const { strings, values } = content as TemplateResult
  return strings.reduce(
    (all, part, index) => all + part + (index < values.length ? markup(values[index]) : ''),
    '',
  )
}

const formatted = (text: string) =>
  markup(formatText(text, ROOT))
    .replaceAll(' target="_blank" rel="noopener noreferrer nofollow" @click=', '')
    .replaceAll(' title=>', '>')
    .replaceAll(' value=>', '>')

/** Returns all values in content that are addresses of links. */
function addresses(content: unknown): string[] {
  if (Array.isArray(content)) return content.flatMap(addresses)
  if (content === null || typeof content !== 'object' || !('strings' in content)) return []
  const { strings, values } = content as TemplateResult
  const own = strings[0]!.endsWith('<a href=') ? [String(values[0])] : []
  return [...own, ...values.flatMap(addresses)]
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
    [`https://example.org/${'('.repeat(LENGTH_MAX)}`, ['https://example.org/']],
    ['www.example.org/a, (www.example.org)', ['https://www.example.org/a', 'https://www.example.org']],
    ['www.example www. xwww.example.org', []],
    ['ask ana.lima@example.org.', ['mailto:ana.lima@example.org']],
    ['(a+b@mail.example.org), <c@d.example>', ['mailto:a+b@mail.example.org', 'mailto:c@d.example']],
    ['a@b a@b.c @b.example a@b@c.example a@-b.example a@b.123', []],
    ['https://a:b@example.org/', ['https://a:b@example.org/']],
    [`${'a'.repeat(65)}@example.org`, []],
    ['call +49 30 1234567.', ['tel:+49301234567']],
    ['+49 (0)30 / 1234-567 or (+1-202-555-0100)', ['tel:+49301234567', 'tel:+12025550100']],
    ['+1234 1+1234567890 +12345678901234567890 ++49301234567 +5 °C', []],
  ])('of %s', (text, wanted) => {
    expect(findLinks(text).map(link => link.href)).toEqual(wanted)
    for (const { from, to, href } of findLinks(text)) {
      const shown = text.slice(from, to)
      expect(href.startsWith('tel:') || href.endsWith(shown), shown).toBe(true)
    }
    expect(plainText(text.replaceAll('**', ''))).toBe(text.replaceAll('**', ''))
  })

  it('have a label unless it could be taken for an address', () => {
    expect(formatted('[the plan](https://example.org/a_(b))')).toBe(
      '<a href=https://example.org/a_(b) title=https://example.org/a_(b)>the plan</a>',
    )
    expect(formatted('[write](mailto:a@b.example)')).toBe('<a href=mailto:a@b.example>write</a>')
    expect(addresses(formatText('[https://bank.example](https://evil.example)', ROOT))).toEqual([
      'https://bank.example',
      'https://evil.example',
    ])
    for (const text of [
      '[bank.example](https://evil.example)',
      '[bank\u200d.example](https://evil.example)',
      '[bank\u3002example](https://evil.example)',
      '[\u202eelpmaxe](https://evil.example)',
      '[ ](https://evil.example)',
      '[x]()',
      '[x](y)',
    ])
      expect(plainText(text)).toBe(text)
    for (const address of [
      'javascript:alert(1)',
      'JAVASCRIPT://x%0aalert(1)',
      'data:text/html,x',
      '//x.example',
    ])
      expect(addresses(formatText(`[x](${address})`, ROOT))).toEqual([])
  })
})

describe('marks', () => {
  it.each([
    [
      '**b** __b__ *i* _i_ ~~s~~ `c`',
      '<strong>b</strong> <strong>b</strong> <em>i</em> <em>i</em> <s>s</s> <code>c</code>',
    ],
    ['***x*** ___x___', '<strong><em>x</em></strong> <strong><em>x</em></strong>'],
    ['**a *b***', '<strong>a <em>b</em></strong>'],
    ['***a* b**', '<strong><em>a</em> b</strong>'],
    ['*a **b** c*', '<em>a <strong>b</strong> c</em>'],
    ['**Note:** (*now*), "_so_"!', '<strong>Note:</strong> (<em>now</em>), "<em>so</em>"!'],
    ['这是**重要**的', '这是<strong>重要</strong>的'],
    ['`*a*` ``a`b`` ```x```', '<code>*a*</code> <code>a`b</code> <code>x</code>'],
    ['*a `b* c`', '*a <code>b* c</code>'],
    ['<b>x</b>', '&lt;b>x&lt;/b>'],
    [
      '**https://example.org/a_b_c**',
      '<strong><a href=https://example.org/a_b_c>https://example.org/a_b_c</a></strong>',
    ],
  ])('of %s', (text, wanted) => {
    expect(formatted(text)).toBe(wanted)
  })

  it.each([
    '2*3*4 and 2**3**4',
    'snake_case_name IMG_1234_5.jpg',
    'a * b * c',
    '** a ** _ b _',
    '*a\nb*',
    '**a __b *c ~~d `e',
    'a ~b~ c',
    '**** ____ ~~~~ ***',
    '¯\\_(ツ)_/¯ *_* -_- ^_^ >_< ._. T_T o_O =_=',
    '\\*a\\* C:\\_data\\*.log \\\\server\\*share*',
    'it`s five o`clock',
    '#1 and # not a heading',
  ])('are none in %s', text => {
    expect(formatText(text, ROOT)).toBe(text)
    expect(plainText(text)).toBe(text)
  })
})

describe('blocks', () => {
  it.each([
    ['a\n> b\n> **c**\nd', 'a<blockquote>b\n<strong>c</strong></blockquote>d'],
    ['> a\n> > b', '<blockquote>a<blockquote>b</blockquote></blockquote>'],
    ['```\na *b*\n\n c\n```\nd', '<pre><code>a *b*\n\n c</code></pre>d'],
    ['```js\nx\n````', '<pre><code>x</code></pre>'],
    ['- a\n- b\n* c', '<ul><li>a</li><li>b</li><li>c</li></ul>'],
    ['- a\n  b\n  - c', '<ul><li>a\nb<ul><li>c</li></ul></li></ul>'],
    ['1. a\n2) b\n7. c', '<ol><li value=1>a</li><li value=2>b</li><li value=7>c</li></ol>'],
    ['a\n\n- b\n\nc', 'a\n\n<ul><li>b</li></ul>\nc'],
    ['> - a', '<blockquote><ul><li>a</li></ul></blockquote>'],
  ])('of %s', (text, wanted) => {
    expect(formatted(text)).toBe(wanted)
  })

  it.each([
    '```\nnever closed',
    '24. December\n2026. was good',
    '-5 degrees',
    '>no space',
    '---\n- - -\n***',
    '+ 2 towels',
  ])('are none in %s', text => expect(formatText(text, ROOT)).toBe(text))

  it('lose their marks in previews, and keep what numbers them', () => {
    expect(plainText('**a**\n> b\n```\nc\n```\n- d\n  1. e')).toBe('a\nb\nc\n- d\n1. e')
  })
})

/** Texts of what formats something, and anything else. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...'*_~`>-[]()\\+@. \n1a',
        '**',
        '~~',
        '```',
        '\n> ',
        '\n- ',
        '\n1. ',
        'https://a.b',
        'www.a.b',
        'a@b.de',
        '](',
        '+49 30 123456',
      ),
      fc.string({ unit: 'grapheme', maxLength: 5 }),
    ),
    { maxLength: 200 },
  )
  .map(parts => parts.join(''))

describe('any text', () => {
  it('has plain parts that are in order, in range, and contain all but marks', () => {
    fc.assert(
      fc.property(hostile, text => {
        let end = 0
        let left = ''
        for (const { from, to } of plainParts(text)) {
          expect(from >= end && to > from && to <= text.length).toBe(true)
          left += text.slice(end, from)
          end = to
        }
        left += text.slice(end)
        // What is left out is marks, addresses behind labels, and the names of languages after fences.
        expect(left.replace(/\]\([^)]*\)*\)/g, '').replace(/`{3,}[^`\n]*/g, '')).toMatch(/^[*_~`>[\s]*$/)
      }),
    )
  })

  it('links only to the web, mail and telephones', () => {
    fc.assert(
      fc.property(hostile, text => {
        for (const href of addresses(formatText(text, ROOT)))
          expect(href).toMatch(/^(https?:\/\/|mailto:|tel:\+)/i)
      }),
    )
  })

  it.each([
    ...'*_~`>-[]()\\+@.\n1a',
    ...['**', '*a ', '*a* ', '**a _b ', '*~~ ', '~* ', '*_', 'x*~~ *', '_a@b.de_ '],
    ...[' `a', ' `a` b`c', '``` ', '```\n', '````\n```\n', '```a\n'],
    ...['> ', '> > > > ', '- ', '- a\n', '  - a\n', '1. ', '1. a\n  1. b\n'],
    ...['[a', '[[a]', '[a](https://', '[a](https://x(', 'https://a](', 'https://a', 'https://((((', 'www.'],
    ...['a@', 'a@b.', 'a@b.de ', 'a.', '+1', '+1 2 3 4', '+123456789 ', '(+49 (0)'],
  ])('of repeated %j is formatted within its time', part => {
    const text = part.repeat(LENGTH_MAX / part.length)
    const start = performance.now()
    formatText(text, ROOT)
    plainText(text)
    expect(performance.now() - start).toBeLessThan(FORMAT_MS)
  })

  it('with ever longer runs of backticks is formatted within its time', () => {
    let text = ''
    for (let length = 1; text.length < LENGTH_MAX; length++) text += `${'`'.repeat(length)} `
    const start = performance.now()
    formatText(text, ROOT)
    expect(performance.now() - start).toBeLessThan(FORMAT_MS)
  })
})

describe('emoji', () => {
  it('are recognised if a text consists of up to three', () => {
    for (const text of ['😅', '😅😅😅', '👍🏽', '👩‍👩‍👧', '🇩🇪', '❤️'])
      expect(isEmojiOnly(text), text).toBe(true)
    for (const text of ['😅😅😅😅', 'ok 😅', '12', '', '#']) expect(isEmojiOnly(text), text).toBe(false)
  })
})
