/** Splits a text that is too long for one message. */

/** A break is preferred where it leaves a part at least this full. */
const FULL = 0.5
/** Where a text may be broken, the best place first: after a paragraph, a line, a sentence, a word. */
const BREAKS = [/\n\s*\n/g, /\n/g, /[.!?…]['"”’»)\]]*\s|[。！？…][”’」』）]*/g, /\s/g]
/** Characters that show nothing: a message must not consist of them. */
const BLANK = /^[\s\u200b-\u200f\u2060\ufeff]*$/

/** Returns the parts of a text in order, each of at most `max` code points. */
export function splitText(text: string, max: number): string[] {
  const parts: string[] = []
  let rest = text.trim()
  for (let end = offsetOf(rest, max); end < rest.length; end = offsetOf(rest, max)) {
    const at = breakBefore(rest, end)
    parts.push(rest.slice(0, at).trim())
    rest = rest.slice(at).trim()
  }
  parts.push(rest)
  return parts.filter(part => !BLANK.test(part))
}

/** Returns the offset after `count` code points. */
function offsetOf(text: string, count: number): number {
  let offset = 0
  for (let n = 0; n < count && offset < text.length; n++) offset += text.codePointAt(offset)! > 0xffff ? 2 : 1
  return offset
}

/** Returns the best offset at or before `end` to break a text at. */
function breakBefore(text: string, end: number): number {
  // What follows the part may be the white space that ends it.
  const head = text.slice(0, end + 1)
  let last = 0
  for (const pattern of BREAKS) {
    for (const match of head.matchAll(pattern)) {
      const after = Math.min(match.index + match[0].length, end)
      if (match.index > 0 && match.index + match[0].trimEnd().length <= end) last = Math.max(last, after)
    }
    if (last >= end * FULL) return last
  }
  return last || graphemeBefore(text, end)
}

/** Returns the last boundary of a character as users see it; a character that is longer than a part is broken. */
function graphemeBefore(text: string, end: number): number {
  const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text)
  return segments.containing(end)?.index || end
}
