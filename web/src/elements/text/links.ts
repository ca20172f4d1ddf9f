/** Finds the URLs, e-mail addresses and phone numbers in a line, in time that grows with its length only. */

/** A part of a line, in UTF-16 offsets, and the address that it links to. */
export interface Link {
  readonly from: number
  readonly to: number
  readonly href: string
}

/**
 * A URL ends at a space, a quotation mark, an invisible character or full-width punctuation, and at `](`, the
 * middle of a link whose label is not accepted.
 */
const URL_PATTERN =
  /(?:(?<![a-z\d])https?:\/\/|(?<![\w.@/-])www\.)(?:[^\s<>\]"`“”„«»\u200b-\u200f\u202a-\u202e\u2066-\u2069\u3001-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]|\](?!\())+/gi
/** Punctuation that belongs to the surrounding text if it ends a URL. */
const TRAILING = ".,:;!?'*_~|…’‘،؛؟।"
const OPENING: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' }
/** The characters of an address before and after the `@`, and the maximum number of each. */
const LOCAL_CHARACTER = /[\w.%+-]/
const LOCAL_MAX = 64
const DOMAIN_CHARACTER = /[a-z\d.-]/i
const DOMAIN_MAX = 253
/** Marks and punctuation before an address, which are no part of it. */
const LEADING = '._-'
const DOMAIN_LABEL = /^[a-z\d](?:[a-z\d-]*[a-z\d])?$/i
const TOP_LEVEL_DOMAIN = /^[a-z]{2,}$/i
/** An international number of 7 to 15 digits; others can't be told from dates and amounts. */
const PHONE_PATTERN =
  /(?<![\p{L}\p{N}+])\+\d(?:[ \u00a0\u202f()./-]{0,3}\d){6,14}(?![\p{L}\p{N}]|[ \u00a0\u202f()./-]{1,3}\d)/gu

/** Returns the links of a line in order; none overlaps another. */
export function findLinks(line: string): Link[] {
  const all = [...urls(line), ...emails(line), ...phones(line)].sort((a, b) => a.from - b.from)
  let end = 0
  return all.filter(({ from, to }) => {
    if (from < end) return false
    end = to
    return true
  })
}

function* urls(line: string): Iterable<Link> {
  for (const { 0: match, index: from } of line.matchAll(URL_PATTERN)) {
    const url = withoutTrailing(match)
    const hasScheme = !/^www\./i.test(url)
    if (hasScheme ? url.endsWith('//') : !/^www\.[^.]+\.[^.]/i.test(url)) continue
    yield { from, to: from + url.length, href: hasScheme ? url : `https://${url}` }
  }
}

/** Removes trailing punctuation, and closing brackets without an opening one in the URL. */
function withoutTrailing(url: string): string {
  const open: Record<string, number> = { '(': 0, '[': 0, '{': 0 }
  for (const char of url) {
    if (char in open) open[char]!++
    else if (char in OPENING) open[OPENING[char]!]!--
  }
  let end = url.length
  for (; end > 0; end--) {
    const char = url[end - 1]!
    const opening = OPENING[char]
    if (opening && open[opening]! < 0) open[opening]!++
    else if (char in open) open[char]!--
    else if (!TRAILING.includes(char)) break
  }
  return url.slice(0, end)
}

/** Extends each `@` in both directions, each time by a bounded number of characters. */
function* emails(line: string): Iterable<Link> {
  for (let at = line.indexOf('@'); at >= 0; at = line.indexOf('@', at + 1)) {
    let from = at
    while (from > 0 && at - from < LOCAL_MAX && LOCAL_CHARACTER.test(line[from - 1]!)) from--
    const isPart = from > 0 && (line[from - 1] === '@' || LOCAL_CHARACTER.test(line[from - 1]!))
    while (LEADING.includes(line[from]!)) from++
    let to = at + 1
    while (to < line.length && to - at <= DOMAIN_MAX && DOMAIN_CHARACTER.test(line[to]!)) to++
    while (line[to - 1] === '.' || line[to - 1] === '-') to--
    if (isPart || from === at || line[at - 1] === '.' || line[to] === '@') continue
    if (isDomain(line.slice(at + 1, to))) yield { from, to, href: `mailto:${line.slice(from, to)}` }
  }
}

function isDomain(text: string): boolean {
  const labels = text.split('.')
  return (
    labels.length > 1 &&
    labels.every(label => DOMAIN_LABEL.test(label)) &&
    TOP_LEVEL_DOMAIN.test(labels.at(-1)!)
  )
}

function* phones(line: string): Iterable<Link> {
  for (const { 0: match, index: from } of line.matchAll(PHONE_PATTERN)) {
    // "+49 (0)30" is called without the zero.
    yield { from, to: from + match.length, href: `tel:+${match.replace('(0)', '').replace(/\D/g, '')}` }
  }
}
