/** The messages that the user has saved, the newest saved first. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { SavedMessage } from '../../client/wire.ts'
import { messageHitStyle } from '../search/message-hits.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'

/** Number of messages that are shown, and that each further step adds. */
const PAGE = 50

export class ChatSaved extends LitElement {
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
      h2 {
        padding: 0 12px 8px;
        font-weight: 600;
        font-size: 18px;
      }
      ul {
        flex: 1;
        min-height: 0;
        overflow: auto;
      }
      li {
        display: flex;
        align-items: center;
      }
      .hit {
        flex: 1;
        min-width: 0;
      }
      .none {
        padding: 32px 24px;
        text-align: center;
        text-wrap: balance;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @state() private messages: readonly SavedMessage[] | null = null
  @state() private hasMore = false
  @state() private error = ''

  override firstUpdated(): void {
    void this.#load()
  }

  override render() {
    const { messages } = this
    return html`<chat-sheet .label=${t('saved')}><div class="frame">
      <h2>${t('saved')}</h2>
      ${this.error ? html`<p class="danger none" role="alert">${this.error}</p>` : nothing}
      ${messages?.length === 0 ? html`<p class="none small">${t('noSaved')}</p>` : nothing}
      ${messages || this.error ? nothing : html`<p class="none small" role="status">${t('loading')}</p>`}
      <ul>${messages?.map(message => this.#message(message))}</ul>
      ${this.hasMore ? html`<button class="plain" @click=${() => this.#load()}>${t('showMore')}</button>` : nothing}
    </div></chat-sheet>`
  }

  #message(message: SavedMessage) {
    const { room, seq, sender, content, attachment_name, created_at } = message
    const title = this.client.inbox.rooms.find(one => one.id === room)?.display_name
    return html`<li><button class="hit" @click=${() => emit(this, 'chat-open-room', { id: room, seq })}>
        <b class="cut" dir="auto">${nameOf(sender)}${title ? ` · ${title}` : ''}</b>
        <time class="small" datetime=${created_at}>${formatShortDate(created_at)}</time>
        <span dir="auto">${plainText(content) || attachment_name}</span></button>
      <button class="icon" aria-label=${t('unsave')} title=${t('unsave')} @click=${() => this.#remove(message)}>${icon('close')}</button></li>`
  }

  /** Reads the next page; a page from which messages have been removed is read again. */
  #load(): Promise<void> {
    return this.#attempt(async () => {
      const known = this.messages ?? []
      const query = { page: Math.floor(known.length / PAGE) + 1, page_size: PAGE }
      const { data } = await this.client.api.GET('/api/chat/saved/', { params: { query } })
      const ids = new Set(known.map(one => one.id))
      this.messages = [...known, ...data.results.filter(one => !ids.has(one.id))]
      this.hasMore = data.next !== null
    })
  }

  #remove({ id }: SavedMessage): Promise<void> {
    return this.#attempt(async () => {
      await this.client.api.DELETE('/api/chat/messages/{id}/saved/', { params: { path: { id } } })
      this.messages = this.messages?.filter(one => one.id !== id) ?? null
    })
  }

  async #attempt(action: () => Promise<void>): Promise<void> {
    this.error = ''
    try {
      await action()
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
