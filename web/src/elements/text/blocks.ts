/**
 * The structure of a text: lines, code blocks, quotes and lists.
 *
 * The rules are those of Markdown as far as they suit messages: a line break stays one, `#` is no heading, and
 * what opens and never closes stays as it was typed. Nothing of a text is lost but the marks that were applied.
 */

/** A line without its line break, in UTF-16 offsets in the whole text. */
export interface Line {
  readonly from: number
  readonly to: number
}

export type Block =
  | { readonly kind: 'lines' | 'code'; readonly lines: readonly Line[] }
  | { readonly kind: 'quote'; readonly blocks: readonly Block[] }
  | { readonly kind: 'list'; readonly items: readonly ListItem[] }

export interface ListItem {
  /** The number as typed, or null in a list of bullets. */
  readonly number: number | null
  /** The bullet or the number, with the spaces around it. */
  readonly marker: Line
  readonly line: Line
  /** The indented lines below. */
  readonly blocks: readonly Block[]
}

/** Quotes and lists within each other; further ones stay as typed. */
const DEPTH_MAX = 4
const FENCE = /^ {0,3}(`{3,})[^`]*$/
const CLOSING_FENCE = /^ {0,3}(`{3,})\s*$/
const QUOTE = /^ {0,3}>(?: |$)/
/** A line of bullets only is a separator. */
const ITEM = /^ ?(?:[-*•]|(\d{1,3})[.)]) +(?=.*[^-*•\s])/
const INDENT = /^(?: {2,4}|\t)(?=\s*\S)/

/** Returns the blocks of a text. */
export function parseBlocks(text: string): Block[] {
  const lines: Line[] = []
  let from = 0
  for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
    lines.push({ from, to })
    from = to + 1
  }
  lines.push({ from, to: text.length })
  return new BlockParser(text, lines, 0).parse()
}

class BlockParser {
  #blocks: Block[] = []
  /** The lines since the last block. */
  #plain: Line[] = []
  #at = 0
  /** No line closes a fence of this length or a longer one. */
  #unclosed = Number.POSITIVE_INFINITY

  constructor(
    private readonly text: string,
    private readonly lines: readonly Line[],
    private readonly depth: number,
  ) {}

  parse(): Block[] {
    while (this.#at < this.lines.length) {
      const block = this.#codeBlock() ?? (this.depth < DEPTH_MAX ? (this.#quote() ?? this.#list()) : null)
      if (!block) {
        this.#plain.push(this.lines[this.#at++]!)
        continue
      }
      this.#endPlain()
      this.#blocks.push(block)
    }
    this.#endPlain()
    return this.#blocks
  }

  #endPlain(): void {
    if (this.#plain.length > 0) this.#blocks.push({ kind: 'lines', lines: this.#plain })
    this.#plain = []
  }

  #codeBlock(): Block | null {
    const fence = this.#match(FENCE, this.#at)?.[1]?.length ?? 0
    if (fence === 0 || fence >= this.#unclosed) return null
    const start = this.#at + 1
    const end = this.#endOf(start, at => (this.#match(CLOSING_FENCE, at)?.[1]?.length ?? 0) < fence)
    if (end === this.lines.length) {
      this.#unclosed = fence
      return null
    }
    this.#at = end + 1
    return { kind: 'code', lines: this.lines.slice(start, end) }
  }

  #quote(): Block | null {
    const start = this.#at
    this.#at = this.#endOf(start, at => this.#match(QUOTE, at) !== null)
    return this.#at > start ? { kind: 'quote', blocks: this.#within(QUOTE, start) } : null
  }

  /** A list of numbers begins with 1, because "24. December" is a date. */
  #list(): Block | null {
    const first = this.#match(ITEM, this.#at)
    if (!first || (first[1] ?? '1') !== '1') return null
    const numbered = first[1] !== undefined
    const items: ListItem[] = []
    for (let match = first as RegExpExecArray | null; match; match = this.#match(ITEM, this.#at)) {
      if ((match[1] !== undefined) !== numbered) break
      const { from, to } = this.lines[this.#at]!
      const start = from + match[0].length
      const below = ++this.#at
      this.#at = this.#endOf(below, at => this.#match(INDENT, at) !== null)
      items.push({
        number: numbered ? Number(match[1]) : null,
        marker: { from, to: start },
        line: { from: start, to },
        blocks: this.#within(INDENT, below),
      })
    }
    return { kind: 'list', items }
  }

  /** Returns the blocks of the lines from `start` to the current one, without the prefix of each line. */
  #within(prefix: RegExp, start: number): Block[] {
    if (start === this.#at) return []
    const lines = this.lines.slice(start, this.#at).map(({ from, to }, index) => ({
      from: from + this.#match(prefix, start + index)![0].length,
      to,
    }))
    return new BlockParser(this.text, lines, this.depth + 1).parse()
  }

  #match(pattern: RegExp, at: number): RegExpExecArray | null {
    const line = this.lines[at]
    return line ? pattern.exec(this.text.slice(line.from, line.to)) : null
  }

  /** Returns the index of the first line from `start` on for which `predicate` does not hold. */
  #endOf(start: number, predicate: (at: number) => boolean): number {
    let end = start
    while (end < this.lines.length && predicate(end)) end++
    return end
  }
}
