/** Found messages as a list, the word that was looked for marked. */
import { css, html, type TemplateResult } from 'lit'
import type { RestMessage } from '../client/wire.ts'
import { momentOf } from './moment.ts'

export const hitStyle = css`
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

/** How much text is shown before the word. */
const BEFORE = 40

export function hits(
  found: readonly RestMessage[],
  term: string,
  choose: (one: RestMessage) => void,
  where: (one: RestMessage) => string = () => '',
): TemplateResult {
  return html`<ul>${found.map(
    one => html`<li><button class="hit" @click=${() => choose(one)}>
      <b class="cut" dir="auto">${one.sender.full_name || one.sender.username}${where(one)}</b>
      <time class="small" datetime=${one.created_at}>${momentOf(one.created_at)}</time>
      <span dir="auto">${marked(one.content || one.attachment_name || '', term)}</span></button></li>`,
  )}</ul>`
}

function marked(text: string, term: string) {
  const at = text.toLowerCase().indexOf(term.toLowerCase())
  if (at < 0) return text
  const start = at > BEFORE ? at - BEFORE : 0
  const end = at + term.length
  return html`${start > 0 ? '…' : ''}${text.slice(start, at)}<mark>${text.slice(at, end)}</mark>${text.slice(end)}`
}
