/** Search results: a list of messages in which the search term is highlighted. */
import { css, html, type TemplateResult } from 'lit'
import type { SearchHit } from '../../client/wire.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainParts } from '../text/formatter.ts'
import { highlightedParts, inUtf16 } from './highlight.ts'

export const messageHitStyle = css`
  .hit {
    display: grid;
    grid-template-columns: 1fr auto;
    gap: 0 8px;
    width: 100%;
    padding: 8px 12px;
    border-radius: 12px;
  }
  .hit:hover {
    background: var(--_hover);
  }
  .hit b {
    font-weight: 600;
  }
  .hit span {
    grid-column: 1 / -1;
    display: -webkit-box;
    -webkit-box-orient: vertical;
    -webkit-line-clamp: 2;
    overflow: hidden;
    color: var(--_text-2);
    overflow-wrap: anywhere;
  }
  mark {
    background: none;
    color: var(--_accent);
    font-weight: 600;
  }
`

/** Renders the results. `suffixOf` returns what follows the sender's name. */
export function messageHits(
  messages: readonly SearchHit[],
  term: string,
  onSelect: (message: SearchHit) => void,
  suffixOf: (message: SearchHit) => string = () => '',
): TemplateResult {
  return html`<ul>${messages.map(
    message => html`<li><button class="hit" @click=${() => onSelect(message)}>
      <b class="cut" dir="auto">${nameOf(message.sender)}${suffixOf(message)}</b>
      <time class="small" datetime=${message.created_at}>${formatShortDate(message.created_at)}</time>
      <span dir="auto">${highlighted(message, term)}</span></button></li>`,
  )}</ul>`
}

/** Marks what the server has found, or the term where an older server doesn't tell. */
function highlighted({ content, attachment_name, highlights }: SearchHit, term: string) {
  const text = content || attachment_name || ''
  const at = text.toLowerCase().indexOf(term.toLowerCase())
  const marked =
    highlights && content ? inUtf16(text, highlights) : at < 0 ? [] : [{ from: at, to: at + term.length }]
  const shown = content ? plainParts(text) : [{ from: 0, to: text.length }]
  return highlightedParts(text, shown, marked).map(part =>
    part.marked ? html`<mark>${part.text}</mark>` : part.text,
  )
}
