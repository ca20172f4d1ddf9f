/** Texts of messages as nodes: links, and emoji alone. Never HTML. */
import { html, type TemplateResult } from 'lit'

const LINK = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/g
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
    const [link] = match
    parts.push(text.slice(end, match.index))
    parts.push(html`<a href=${link} target="_blank" rel="noopener noreferrer nofollow">${link}</a>`)
    end = match.index + link.length
  }
  parts.push(text.slice(end))
  return parts
}
