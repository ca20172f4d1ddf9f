/** What makes the number of unread messages: the rooms that count, and those that do not. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { readUnreadReasons, type UnreadReasons } from '../../client/notification-settings.ts'
import { badgeStyle } from '../shared/badge.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { menuKeys } from '../shared/menu.ts'
import { errorText, type TextKey, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { windowStyle } from '../shared/window-style.ts'

type UnreadRoom = UnreadReasons['rooms'][number]

export class ChatUnreadWhy extends LitElement {
  static override styles = [
    base,
    badgeStyle,
    windowStyle,
    css`
      .sum {
        padding: 0 12px 8px;
      }
      h3 {
        padding: 12px 12px 4px;
        font-size: 13px;
        font-weight: 600;
        color: var(--_text-2);
      }
      .room {
        display: flex;
        align-items: center;
        gap: 12px;
        width: 100%;
        min-height: 52px;
        padding: 8px 12px;
        border-radius: 12px;
      }
      .room:hover {
        background: var(--_hover);
      }
      .what {
        flex: 1;
        display: grid;
        min-width: 0;
      }
      .uncounted .count {
        background: var(--_text-2);
        color: var(--_surface);
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @state() private found: UnreadReasons | null = null
  @state() private error = ''

  override firstUpdated(): void {
    void this.#load()
  }

  override render() {
    const { found } = this
    return html`<chat-sheet .label=${t('unreadWhyTitle')}><div class="frame">
      <h2>${t('unreadWhyTitle')}</h2>
      ${this.error ? html`<p class="danger none" role="alert">${this.error}</p>` : nothing}
      ${found || this.error ? nothing : html`<p class="none small" role="status">${t('loading')}</p>`}
      ${found ? this.#rooms(found) : nothing}
    </div></chat-sheet>`
  }

  #rooms({ unread_count, rooms }: UnreadReasons) {
    if (rooms.length === 0) return html`<p class="none small" role="status">${t('unreadNone')}</p>`
    return html`<p class="sum small" role="status">${t('unreadWhySum', { n: unread_count })}</p>
      <div class="scroll" @keydown=${menuKeys}>
        ${this.#group(
          'unreadCounted',
          rooms.filter(room => room.counts),
        )}
        ${this.#group(
          'unreadNotCounted',
          rooms.filter(room => !room.counts),
        )}
      </div>`
  }

  #group(name: 'unreadCounted' | 'unreadNotCounted', rooms: readonly UnreadRoom[]) {
    if (rooms.length === 0) return nothing
    return html`<h3>${t(name)}</h3><ul class=${name === 'unreadCounted' ? '' : 'uncounted'}>${rooms.map(
      room => html`<li><button class="room" @click=${() => this.#open(room)}>
        <span class="what"><span class="cut" dir="auto">${room.display_name}</span>${room.reasons.map(
          ({ rule, text }) => html`<span class="small">${t(`unreadRule_${rule}` as TextKey) || text}</span>`,
        )}</span>
        ${room.mention_count > 0 ? html`<span class="count"><span class="unseen">${t('mentionedYou', { n: room.mention_count })}</span><span aria-hidden="true">@</span></span>` : nothing}
        <span class="count"><span class="unseen">${t('unread', { n: room.unread_count })}</span><span aria-hidden="true">${room.unread_count}</span></span>
      </button></li>`,
    )}</ul>`
  }

  /** Opens a room at its first unread message. */
  #open({ room_id: id, first_unread }: UnreadRoom): void {
    emit(this, 'chat-open-room', { id, ...(first_unread && { seq: first_unread.seq }) })
  }

  async #load(): Promise<void> {
    try {
      this.found = await readUnreadReasons(this.client)
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
