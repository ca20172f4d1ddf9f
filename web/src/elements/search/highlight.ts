/** The parts of a search result: its text without marks, in which what was searched for is marked. */

/** A range in UTF-16. */
interface Range {
  readonly from: number
  readonly to: number
}

export interface HighlightedPart {
  readonly text: string
  readonly marked: boolean
}

/** Number of characters before the first marked part. */
const CONTEXT = 40

/** Returns the parts of `text` that lie in `shown`, of which those in `marked` are marked, from near the first one on. */
export function highlightedParts(
  text: string,
  shown: readonly Range[],
  marked: readonly Range[],
): HighlightedPart[] {
  const parts: HighlightedPart[] = []
  const add = (from: number, to: number, isMarked: boolean) => {
    const last = parts.at(-1)
    const piece = text.slice(from, to)
    if (last?.marked === isMarked) parts[parts.length - 1] = { text: last.text + piece, marked: isMarked }
    else if (piece) parts.push({ text: piece, marked: isMarked })
  }
  for (const { from, to } of shown) {
    let at = from
    for (const range of marked) {
      const start = Math.max(at, range.from)
      const end = Math.min(to, range.to)
      if (start >= end) continue
      add(at, start, false)
      add(start, end, true)
      at = end
    }
    add(at, to, false)
  }
  const [first] = parts
  if (parts.length > 1 && first && !first.marked && first.text.length > CONTEXT)
    parts[0] = { text: `…${[...first.text].slice(-CONTEXT).join('')}`, marked: false }
  return parts
}

/** Converts ranges of code points, in ascending order, to ranges in UTF-16. */
export function inUtf16(text: string, ranges: readonly { start: number; end: number }[]): Range[] {
  let offset = 0
  let count = 0
  const offsetOf = (position: number) => {
    for (; count < position && offset < text.length; count++)
      offset += text.codePointAt(offset)! > 0xffff ? 2 : 1
    return offset
  }
  return ranges.map(({ start, end }) => ({ from: offsetOf(start), to: offsetOf(end) }))
}
