/** Texts without their marks, for previews: on one line, next to a name, in a notification. */
import { type Block, type Line, parseBlocks } from './blocks.ts'
import { parseLine, type Span } from './inline.ts'

/** Returns the parts of a text that are not marks, in order. They are offsets in UTF-16. */
export function plainParts(text: string): Line[] {
  const parts: Line[] = []
  const add = (from: number, to: number) => {
    const last = parts.at(-1)
    if (last?.to === from) parts[parts.length - 1] = { from: last.from, to }
    else if (to > from) parts.push({ from, to })
  }
  const addSpan = (span: Span): void => {
    if ('spans' in span) span.spans.forEach(addSpan)
    else add(span.from, span.to)
  }
  /** Adds a line, after the line break before it. */
  const addLine = ({ from, to }: Line, start = from, isCode = false): void => {
    if (parts.length > 0) {
      const before = text.lastIndexOf('\n', start - 1)
      if (before >= parts.at(-1)!.to) add(before, before + 1)
    }
    add(start, from)
    if (isCode) add(from, to)
    else parseLine(text, from, to).forEach(addSpan)
  }
  const addBlock = (block: Block): void => {
    switch (block.kind) {
      case 'lines':
      case 'code':
        for (const line of block.lines) addLine(line, line.from, block.kind === 'code')
        return
      case 'quote':
        block.blocks.forEach(addBlock)
        return
      case 'list':
        for (const item of block.items) {
          addLine(item.line, item.marker.from)
          item.blocks.forEach(addBlock)
        }
    }
  }
  parseBlocks(text).forEach(addBlock)
  return parts
}

/** Texts of previews, which are rendered again with each change of a list. */
const previews = new Map<string, string>()
const PREVIEWS_MAX = 1_000
const PREVIEW_LENGTH_MAX = 400

/** Returns a text without its marks. */
export function plainText(text: string): string {
  const known = previews.get(text)
  if (known !== undefined) return known
  const plain = plainParts(text)
    .map(({ from, to }) => text.slice(from, to))
    .join('')
  if (previews.size >= PREVIEWS_MAX) previews.clear()
  if (text.length <= PREVIEW_LENGTH_MAX) previews.set(text, plain)
  return plain
}
