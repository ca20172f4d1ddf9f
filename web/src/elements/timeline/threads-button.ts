/** The button in the header of a room that lists its threads, with the number of their unread replies. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { threadsOf } from '../../client/thread-list.ts'
import { badgeStyle } from '../shared/badge.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

export class ChatThreadsButton extends LitElement {
  static override styles = [
    base,
    badgeStyle,
    css`
      :host {
        display: block;
        position: relative;
      }
      .count {
        position: absolute;
        inset-block-start: 0;
        inset-inline-end: -2px;
        pointer-events: none;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property() roomId = ''

  constructor() {
    super()
    new ChangeController(this, () => [this.client && threadsOf(this.client)])
  }

  override render() {
    const n = threadsOf(this.client).unread(this.roomId)
    return html`<button class="icon" aria-label=${n > 0 ? t('threadsUnread', { n }) : t('threads')}
      @click=${() => emit(this, 'chat-aside', 'threads')}>${icon('thread')}</button>${
        n > 0 ? html`<span class="count" aria-hidden="true">${n}</span>` : nothing
      }`
  }
}
