/** The bell: how many notifications are new, and the windows that it and the account menu open. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { isPersonal } from '../../client/inbox.ts'
import { feedOf } from '../../client/notification-feed.ts'
import { badgeStyle } from '../shared/badge.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, query, state } from '../shared/decorators.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

/** Higher numbers are shown as "99+". */
const COUNT_MAX = 99

export type NotificationWindow = 'feed' | 'settings' | 'unread'

export class ChatBell extends LitElement {
  static override styles = [
    base,
    badgeStyle,
    css`
      :host {
        display: block;
      }
      .icon {
        position: relative;
      }
      .count {
        position: absolute;
        inset-block-start: 0;
        inset-inline-end: -2px;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @state() private shown: NotificationWindow | null = null
  @query('button') private button!: HTMLElement | null

  constructor() {
    super()
    new ChangeController(this, () => [this.client, this.client && feedOf(this.client)])
  }

  /** Opens one of the windows. */
  show = (shown: NotificationWindow): void => {
    if (shown !== 'feed') void import('../define-notification-settings.ts')
    this.shown = shown
  }

  override render() {
    // Older servers tell of nothing.
    if (!isPersonal(this.client.inbox)) return nothing
    const n = feedOf(this.client).list.length
    return html`<button class="icon" aria-haspopup="dialog" aria-label=${n > 0 ? t('bellUnread', { n }) : t('bell')} title=${t('bell')}
        @click=${() => this.show('feed')}>${icon('bell')}${
          n > 0
            ? html`<span class="count" aria-hidden="true">${n > COUNT_MAX ? `${COUNT_MAX}+` : n}</span>`
            : nothing
        }</button>
      ${this.shown ? this.#window(this.shown) : nothing}`
  }

  #window(shown: NotificationWindow) {
    const { client } = this
    const windows = {
      feed: () =>
        html`<chat-notification-feed .client=${client} .onShow=${this.show}></chat-notification-feed>`,
      settings: () => html`<chat-notification-settings .client=${client}></chat-notification-settings>`,
      unread: () => html`<chat-unread-why .client=${client}></chat-unread-why>`,
    }
    return html`<div @chat-close=${this.#onClose} @chat-open-room=${() => {
      this.shown = null
    }}>${windows[shown]()}</div>`
  }

  #onClose = (event: Event): void => {
    event.stopPropagation()
    this.shown = null
    this.button?.focus()
  }
}
