/**
 * The marks within a line: bold, italic, strike, code, links.
 *
 * A line is read once from left to right. A mark that is not closed, or that stands inside a word, stays as it
 * was typed; so do backslashes, and what follows them is no mark.
 */
import { findLinks, type Link } from './links.ts'

/** A part of a line. Positions are UTF-16 offsets in the whole text. */
export type Span =
  | { readonly kind: 'text' | 'code'; readonly from: number; readonly to: number }
  | { readonly kind: 'bold' | 'italic' | 'strike'; readonly spans: readonly Span[] }
  | { readonly kind: 'link'; readonly href: string; readonly from: number; readonly to: number }

/** A mark that may be closed, with what follows it. */
interface OpenMark {
  readonly mark: string
  readonly from: number
  readonly spans: Span[]
}

/** Marks within marks; further ones stay as typed. */
const DEPTH_MAX = 8
const MARKS = '\\`*_~['
const SPECIAL = /[\\`*_~[]/g
const RUN = /`+|\*+|_+|~+/y
/** A link with a text of its own. One pair of brackets within the address is allowed. */
const LABELLED =
  /\[([^[\]]{1,300})\]\(((?:https?:\/\/|mailto:|tel:\+?)(?:[^\s()<>]|\([^\s()<>]*\)){1,2000})\)/iy
/**
 * A label that looks like an address could name another one than it leads to: with a dot, or one that resembles
 * it, or with invisible characters, but for the joiners that some words and emoji need.
 */
const ADDRESS =
  /:\/\/|[\p{L}\p{N}-][.\u2024\u3002\uff0e\uff61]\p{L}{2}|[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u
const JOINERS = /[\u200c\u200d]/g
/** A letter or digit, of scripts that separate words by spaces: next to it a mark is part of the word. */
const WORD =
  /(?!\p{sc=Han}|\p{sc=Hira}|\p{sc=Kana}|\p{sc=Hang}|\p{sc=Thai}|\p{sc=Laoo}|\p{sc=Khmr}|\p{sc=Mymr})[\p{L}\p{M}\p{N}]/u
/** What an underscore before it makes a face of. */
const FACE = /[-^./\\)<>=;:,!?|¯]/
const KIND = { '**': 'bold', __: 'bold', '*': 'italic', _: 'italic', '~~': 'strike' } as const

/** Returns the spans of the line from `from` to `to` in `text`, which contains no line break. */
export function parseLine(text: string, from: number, to: number): Span[] {
  return new LineParser(text.slice(from, to), from).parse()
}

class LineParser {
  /** The open marks, outermost first; the first entry is the line itself. */
  #open: OpenMark[] = [{ mark: '', from: 0, spans: [] }]
  /** Lengths of runs of backticks that nothing closes any more. */
  #unclosed = new Set<number>()
  #at = 0

  constructor(
    private readonly line: string,
    private readonly offset: number,
  ) {}

  parse(): Span[] {
    const { line } = this
    const links = findLinks(line)
    let nextLink = 0
    let special = -1
    while (this.#at < line.length) {
      while (nextLink < links.length && links[nextLink]!.from < this.#at) nextLink++
      if (special < this.#at) special = this.#nextSpecial()
      const link = links[nextLink]
      this.#addText(Math.min(special, link?.from ?? special))
      if (link && link.from <= special) this.#addLink(link)
      else if (special < line.length) this.#onSpecial()
    }
    this.#dissolve(1)
    return this.#open[0]!.spans
  }

  #nextSpecial(): number {
    SPECIAL.lastIndex = this.#at
    return SPECIAL.exec(this.line)?.index ?? this.line.length
  }

  #addLink({ from, to, href }: Link): void {
    this.#push({ kind: 'link', href, from: this.offset + from, to: this.offset + to })
    this.#at = to
  }

  /** Handles the special character at the current position, and moves past it. */
  #onSpecial(): void {
    const char = this.line[this.#at]!
    const next = this.line[this.#at + 1]
    if (char === '\\') this.#addText(this.#at + (next && MARKS.includes(next) ? 2 : 1))
    else if (char === '[') this.#onBracket()
    else {
      const length = this.#runLength(this.#at)
      if (char === '`') this.#onBackticks(length)
      else this.#onMarks(char, length)
    }
  }

  /** Returns the number of equal characters from `at` on. */
  #runLength(at: number): number {
    RUN.lastIndex = at
    return RUN.exec(this.line)![0].length
  }

  #onBracket(): void {
    LABELLED.lastIndex = this.#at
    const match = LABELLED.exec(this.line)
    if (!match || ADDRESS.test(match[1]!.replace(JOINERS, '')) || !match[1]!.trim()) {
      this.#addText(this.#at + 1)
      return
    }
    const from = this.offset + this.#at + 1
    this.#push({ kind: 'link', href: match[2]!, from, to: from + match[1]!.length })
    this.#at += match[0].length
  }

  #onBackticks(length: number): void {
    const start = this.#at + length
    const end = this.#wordBefore(this.#at) ? -1 : this.#closingBackticks(start, length)
    if (end < 0) {
      this.#addText(start)
      return
    }
    this.#push({ kind: 'code', from: this.offset + start, to: this.offset + end })
    this.#at = end + length
  }

  /** Returns where the next run of exactly `length` backticks begins that can close one, or -1. */
  #closingBackticks(start: number, length: number): number {
    if (this.#unclosed.has(length)) return -1
    for (let at = this.line.indexOf('`', start); at >= 0; at = this.line.indexOf('`', at)) {
      const run = this.#runLength(at)
      if (run === length && !this.#wordAfter(at + run)) return at
      at += run
    }
    this.#unclosed.add(length)
    return -1
  }

  /** Closes the marks that the run can close; what remains of it opens marks, or is text. */
  #onMarks(char: string, length: number): void {
    const { line } = this
    const start = this.#at
    const end = start + length
    const isMark = length <= 3 && (char !== '~' || length === 2)
    let rest = length
    if (isMark && /\S/.test(line[start - 1] ?? ' ') && !this.#wordAfter(end)) {
      for (let closed = this.#close(char, rest); closed > 0; closed = this.#close(char, rest)) rest -= closed
    }
    this.#at = end - rest
    const next = line[end] ?? ' '
    const opens = isMark && /\S/.test(next) && !(char === '_' && FACE.test(next)) && !this.#wordBefore(start)
    if (opens && rest > 0) this.#openMarks(char, rest)
    else this.#addText(end)
  }

  #openMarks(char: string, length: number): void {
    const marks = length === 3 ? [char + char, char] : [char.repeat(length)]
    if (this.#open.length + marks.length > DEPTH_MAX + 1) {
      this.#addText(this.#at + length)
      return
    }
    for (const mark of marks) {
      this.#open.push({ mark, from: this.#at, spans: [] })
      this.#at += mark.length
    }
  }

  /** Closes the innermost mark of `char` that is no longer than `length`. Returns its length, or 0. */
  #close(char: string, length: number): number {
    const index = this.#open.findLastIndex(({ mark }) => mark[0] === char && mark.length <= length)
    if (index < 0) return 0
    this.#dissolve(index + 1)
    const { mark, spans } = this.#open[index]!
    if (!this.#hasContent(spans)) {
      this.#dissolve(index)
      return 0
    }
    this.#open.pop()
    this.#push({ kind: KIND[mark as keyof typeof KIND], spans })
    return mark.length
  }

  /** Turns the open marks from `index` on into text. */
  #dissolve(index: number): void {
    while (this.#open.length > index) {
      const { mark, from, spans } = this.#open.pop()!
      this.#pushText(from, from + mark.length)
      for (const span of spans) this.#push(span)
    }
  }

  /** Whether there is something to format: faces such as `*_*` consist of marks only. */
  #hasContent(spans: readonly Span[]): boolean {
    const { line, offset } = this
    return spans.some(
      span => span.kind !== 'text' || /[^*_~\s]/.test(line.slice(span.from - offset, span.to - offset)),
    )
  }

  /** Adds what precedes `to` as text, and moves there. */
  #addText(to: number): void {
    this.#pushText(this.#at, to)
    this.#at = to
  }

  #pushText(from: number, to: number): void {
    if (to > from) this.#push({ kind: 'text', from: this.offset + from, to: this.offset + to })
  }

  /** Adds a span; text that continues the previous one extends it. */
  #push(span: Span): void {
    const { spans } = this.#open.at(-1)!
    const last = spans.at(-1)
    if (span.kind === 'text' && last?.kind === 'text' && last.to === span.from) {
      spans[spans.length - 1] = { ...last, to: span.to }
    } else spans.push(span)
  }

  #wordBefore(at: number): boolean {
    const [last = ''] = [...this.line.slice(Math.max(0, at - 2), at)].slice(-1)
    return WORD.test(last)
  }

  #wordAfter(at: number): boolean {
    const code = this.line.codePointAt(at)
    return code !== undefined && WORD.test(String.fromCodePoint(code))
  }
}
