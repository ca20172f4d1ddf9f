/** Texts of messages as nodes: links, and emoji alone. Never HTML. */
import { html, type TemplateResult } from 'lit'

/** An address goes on until a space, a quotation mark, an invisible sign or punctuation of full width. */
const LINK =
  /(?<![a-z\d])https?:\/\/[^\s<>"`“”„«»\u200b-\u200f\u202a-\u202e\u2066-\u2069\u3001-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+/gi
/** What ends a sentence or marks a word belongs to the text around an address. */
const TAIL = ".,:;!?'*_~|…’‘،؛؟।"
const OPENING: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' }
const EMOJI =
  /^(?:(?:\p{RI}{2}|\p{Extended_Pictographic}(?:\p{EMod}|\ufe0f|\u200d\p{Extended_Pictographic})*)\s*){1,3}$/u

/** Whether a text is up to three emoji and nothing else. */
export function isEmoji(text: string): boolean {
  return text.length <= 60 && EMOJI.test(text.trim())
}

/** Cuts a text into strings and links. */
export function prose(text: string): (string | TemplateResult)[] {
  const parts: (string | TemplateResult)[] = []
  let end = 0
  for (const match of text.matchAll(LINK)) {
    const link = withoutTail(match[0])
    if (link.endsWith('//')) continue
    parts.push(text.slice(end, match.index))
    parts.push(html`<a href=${link} target="_blank" rel="noopener noreferrer nofollow">${link}</a>`)
    end = match.index + link.length
  }
  parts.push(text.slice(end))
  return parts
}

/** Takes off what ends the sentence, and brackets that have no partner in the address itself. */
function withoutTail(link: string): string {
  const open: Record<string, number> = { '(': 0, '[': 0, '{': 0 }
  for (const sign of link) {
    if (sign in open) open[sign]!++
    else if (sign in OPENING) open[OPENING[sign]!]!--
  }
  let end = link.length
  for (; end > 0; end--) {
    const sign = link[end - 1]!
    const opening = OPENING[sign]
    if (opening && open[opening]! < 0) open[opening]!++
    else if (sign in open) open[sign]!--
    else if (!TAIL.includes(sign)) break
  }
  return link.slice(0, end)
}
