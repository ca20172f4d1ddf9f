/** The list of what the user was told and has not read. */
import { css, html, LitElement, nothing } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Client } from '../../client/client.ts'
import { feedOf, type UnreadNotification } from '../../client/notification-feed.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { type IconName, icon } from '../shared/icons.ts'
import { menuKeys } from '../shared/menu.ts'
import { partnerOf, subjectKind } from '../shared/room-name.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { errorText, type TextKey, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { windowStyle } from '../shared/window-style.ts'
import { plainText } from '../text/formatter.ts'
import type { NotificationWindow } from './bell.ts'

/** The signs of those kinds that are more than a message. */
const SIGNS: Readonly<Record<string, { readonly icon: IconName; readonly text: TextKey }>> = {
  mention: { icon: 'at', text: 'kind_mention' },
  thread: { icon: 'thread', text: 'kind_thread' },
  keyword: { icon: 'tag', text: 'kind_keyword' },
}

export class ChatNotificationFeed extends LitElement {
  static override styles = [
    base,
    windowStyle,
    css`
      .head {
        display: flex;
        align-items: center;
        padding: 0 4px 4px 0;
      }
      .head h2 {
        flex: 1;
        padding-bottom: 0;
      }
      .item {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 12px;
        width: 100%;
        padding: 8px 12px;
        border-radius: 12px;
        --size: 40px;
      }
      .item:hover {
        background: var(--_hover);
      }
      .what {
        min-width: 0;
      }
      .line {
        display: flex;
        align-items: baseline;
        gap: 8px;
      }
      b {
        flex: 1;
        font-weight: 600;
      }
      .body {
        display: -webkit-box;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 2;
        overflow: hidden;
        overflow-wrap: anywhere;
        color: var(--_text-2);
      }
      .body svg {
        display: inline-block;
        width: 16px;
        height: 16px;
        margin-inline-end: 4px;
        vertical-align: -3px;
        color: var(--_accent);
      }
      .none b {
        display: block;
      }
      .foot {
        padding-top: 4px;
        border-top: 1px solid var(--_line);
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  /** Opens another window in place of this one. */
  @property({ attribute: false }) onShow: (shown: NotificationWindow) => void = () => {}
  @state() private error = ''

  constructor() {
    super()
    new ChangeController(this, () => [this.client, this.client && feedOf(this.client)])
  }

  override render() {
    const { list, loaded, error } = feedOf(this.client)
    const { total_unread: n } = this.client.inbox
    const shown = this.error || (error ? errorText(error) : '')
    return html`<chat-sheet .label=${t('bell')}><div class="frame">
      <div class="head"><h2>${t('bell')}</h2>
        ${list.length > 0 ? html`<button class="plain" @click=${this.#readAll}>${t('markAllSeen')}</button>` : nothing}
        <button class="icon" aria-label=${t('notificationSettings')} title=${t('notificationSettings')}
          @click=${() => this.onShow('settings')}>${icon('sliders')}</button></div>
      ${shown ? html`<p class="danger none" role="alert">${shown}</p>` : nothing}
      ${loaded || error ? nothing : html`<p class="none small" role="status">${t('loading')}</p>`}
      ${loaded && list.length === 0 ? html`<div class="none" role="status"><b>${t('noNotifications')}</b><p class="small">${t('noNotificationsHint')}</p></div>` : nothing}
      <ul class="scroll" @keydown=${menuKeys}>${repeat(
        list,
        one => one.id,
        one => this.#item(one),
      )}</ul>
      ${n > 0 ? html`<div class="foot"><button class="plain" @click=${() => this.onShow('unread')}>${t('whyBadge', { n })}</button></div>` : nothing}
    </div></chat-sheet>`
  }

  #item(one: UnreadNotification) {
    const { id, kind, room_id, title, body, at } = one
    const { inbox, me } = this.client
    const room = inbox.rooms.find(listed => listed.id === room_id)
    const sign = SIGNS[kind]
    return html`<li data-id=${id}><button class="item" @click=${() => this.#open(one)}>
      <chat-avatar .name=${title} .key=${String((room && partnerOf(room, me)?.id) ?? room_id)} .kind=${subjectKind(room?.room_type)}></chat-avatar>
      <span class="what"><span class="line"><b class="cut" dir="auto">${title}</b><time class="small" datetime=${at}>${formatShortDate(at)}</time></span>
        <span class="body" dir="auto">${sign ? html`${icon(sign.icon)}<span class="unseen">${t(sign.text)}: </span>` : nothing}${plainText(body)}</span></span>
    </button></li>`
  }

  /** Opens the message, or the thread in which alone it stands. */
  async #open({ room_id: room, message_id, seq }: UnreadNotification): Promise<void> {
    const path = { id: message_id }
    try {
      const { data } = await this.client.api.GET('/api/chat/messages/{id}/', { params: { path } })
      const thread = data.in_timeline === false ? data.thread?.root_id : undefined
      emit(this, 'chat-open-room', { id: room, seq, ...(thread && { thread }) })
    } catch {
      // Without a connection the room is shown as far as the device has it.
      emit(this, 'chat-open-room', { id: room, seq })
    }
  }

  #readAll = async (): Promise<void> => {
    const feed = feedOf(this.client)
    this.error = ''
    try {
      if (feed.list[0]) await feed.readUpTo(feed.list[0].id)
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
