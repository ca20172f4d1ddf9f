/** The rows of lists of threads. */
import { css, html, nothing, type TemplateResult } from 'lit'
import type { ListedThread } from '../../client/thread-list.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { t } from '../shared/texts.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'

export const threadItemStyle = css`
  .item {
    display: grid;
    grid-template-columns: 1fr auto;
    gap: 0 8px;
    width: 100%;
    min-height: 44px;
    padding: 8px 12px;
    border-radius: 12px;
  }
  .item:hover {
    background: var(--_hover);
  }
  .item b {
    font-weight: 600;
  }
  .item .text {
    display: -webkit-box;
    -webkit-box-orient: vertical;
    -webkit-line-clamp: 2;
    overflow: hidden;
    color: var(--_text-2);
    overflow-wrap: anywhere;
  }
  .unread .text {
    color: var(--_text);
  }
  .item .count {
    align-self: start;
    justify-self: end;
  }
  .item .sums {
    grid-column: 1 / -1;
  }
`

/** Renders threads. `titleOf` returns what follows the name of the first message's sender. */
export function threadItems(
  threads: readonly ListedThread[],
  onSelect: (thread: ListedThread) => void,
  titleOf: (thread: ListedThread) => string = () => '',
): TemplateResult {
  return html`<ul>${threads.map(thread => {
    const { root, unread } = thread
    const { replies = 0, last_reply_at } = root.thread ?? {}
    const sums = replies === 1 ? t('replies1') : t('replies', { n: replies })
    return html`<li><button class="item ${unread > 0 ? 'unread' : ''}" @click=${() => onSelect(thread)}>
      <b class="cut" dir="auto">${nameOf(root.sender)}${titleOf(thread)}</b>
      ${last_reply_at ? html`<time class="small" datetime=${last_reply_at}>${formatShortDate(last_reply_at)}</time>` : html`<span></span>`}
      <span class="text" dir="auto">${plainText(root.content) || root.attachment_name}</span>
      ${
        unread > 0
          ? html`<span class="count"><span class="unseen">${t('unreadReplies', { n: unread })}</span><span aria-hidden="true">${unread}</span></span>`
          : nothing
      }
      <span class="sums small">${sums}</span></button></li>`
  })}</ul>`
}
