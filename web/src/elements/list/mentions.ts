/** The messages that mention the user, the newest first: those that are unread, or all. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { RestMessage } from '../../client/wire.ts'
import { messageHitStyle } from '../search/message-hits.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'

/** Number of messages that are shown, and that each further step adds. */
const PAGE = 50

export class ChatMentions extends LitElement {
  static override styles = [
    base,
    messageHitStyle,
    css`
      .frame {
        display: flex;
        flex-direction: column;
        height: min(560px, 78dvh);
        padding: 16px 8px 8px;
      }
      .head {
        display: flex;
        align-items: center;
        gap: 8px;
        padding: 0 4px 8px 12px;
      }
      h2 {
        flex: 1;
        font-weight: 600;
        font-size: 18px;
      }
      ul {
        flex: 1;
        min-height: 0;
        overflow: auto;
      }
      .choice {
        min-height: 36px;
        padding: 0 12px;
        border: 1px solid var(--_line);
        border-radius: 18px;
        font-size: 13px;
        color: var(--_text-2);
      }
      .choice[aria-pressed='true'] {
        border-color: transparent;
        background: var(--_mine);
        color: var(--_text);
        font-weight: 600;
      }
      .none {
        padding: 32px 24px;
        text-align: center;
        text-wrap: balance;
      }
      @media (pointer: coarse) {
        .choice {
          min-height: 44px;
          border-radius: 22px;
        }
      }
      @media (forced-colors: active) {
        .choice[aria-pressed='true'] {
          border-color: Highlight;
        }
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @state() private messages: readonly RestMessage[] | null = null
  @state() private unread = true
  @state() private hasMore = false
  @state() private error = ''

  override firstUpdated(): void {
    void this.#load()
  }

  override render() {
    const { messages, unread } = this
    return html`<chat-sheet .label=${t('mentions')}><div class="frame">
      <div class="head"><h2>${t('mentions')}</h2>
        <button class="choice" aria-pressed=${unread} @click=${this.#toggleUnread}>${t('filterUnread')}</button></div>
      ${this.error ? html`<p class="danger none" role="alert">${this.error}</p>` : nothing}
      ${messages?.length === 0 ? html`<p class="none small" role="status">${t(unread ? 'noUnreadMentions' : 'noMentions')}</p>` : nothing}
      ${messages || this.error ? nothing : html`<p class="none small" role="status">${t('loading')}</p>`}
      <ul>${messages?.map(message => this.#message(message))}</ul>
      ${this.hasMore ? html`<button class="plain" @click=${() => this.#load()}>${t('showMore')}</button>` : nothing}
    </div></chat-sheet>`
  }

  #message({ room, seq, sender, content, attachment_name, created_at }: RestMessage) {
    const title = this.client.inbox.rooms.find(one => one.id === room)?.display_name
    return html`<li><button class="hit" @click=${() => emit(this, 'chat-open-room', { id: room, seq })}>
      <b class="cut" dir="auto">${nameOf(sender)}${title ? ` · ${title}` : ''}</b>
      <time class="small" datetime=${created_at}>${formatShortDate(created_at)}</time>
      <span dir="auto">${plainText(content) || attachment_name}</span></button></li>`
  }

  #toggleUnread = (): void => {
    this.unread = !this.unread
    this.messages = null
    this.hasMore = false
    void this.#load()
  }

  /** Reads the next page; a page from which messages have been read meanwhile is read again. */
  async #load(): Promise<void> {
    const { unread } = this
    const known = this.messages ?? []
    this.error = ''
    try {
      const page = Math.floor(known.length / PAGE) + 1
      const query = { mentions: 'me', page, page_size: PAGE, ...(unread && { unread }) } as const
      const { data } = await this.client.api.GET('/api/chat/messages/', { params: { query } })
      if (unread !== this.unread) return
      const ids = new Set(known.map(one => one.id))
      this.messages = [...known, ...data.results.filter(one => !ids.has(one.id))]
      this.hasMore = 'next' in data && data.next !== null
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
