/** All pinned messages of a room. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { Room } from '../../client/room.ts'
import type { RestMessage } from '../../client/wire.ts'
import { messageHitStyle } from '../search/message-hits.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { may } from '../shared/permissions.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'

export class ChatPinList extends LitElement {
  static override styles = [
    base,
    messageHitStyle,
    css`
      .frame {
        display: flex;
        flex-direction: column;
        max-height: min(560px, 78dvh);
        padding: 16px 8px 8px;
      }
      h2 {
        padding: 0 12px 8px;
        font-weight: 600;
        font-size: 18px;
      }
      p {
        padding: 0 12px 8px;
      }
      ul {
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
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) messages: readonly RestMessage[] = []
  @state() private error = ''

  override render() {
    return html`<chat-sheet .label=${t('pins')}><div class="frame">
      <h2>${t('pins')}</h2>
      ${this.error ? html`<p class="danger" role="alert">${this.error}</p>` : nothing}
      <ul>${this.messages.map(message => this.#message(message))}</ul>
    </div></chat-sheet>`
  }

  #message(message: RestMessage) {
    const { sender, content, attachment_name, created_at, seq } = message
    return html`<li><button class="hit" @click=${() => emit(this, 'chat-open-room', { id: this.room.id, seq })}>
        <b class="cut" dir="auto">${nameOf(sender)}</b>
        <time class="small" datetime=${created_at}>${formatShortDate(created_at)}</time>
        <span dir="auto">${plainText(content) || attachment_name}</span></button>
      ${
        may(this.room, this.client, 'pin')
          ? html`<button class="icon" aria-label=${t('unpin')} title=${t('unpin')} @click=${() => this.#unpin(message)}>${icon('close')}</button>`
          : nothing
      }</li>`
  }

  /** The frame about it removes the message from the list. */
  async #unpin({ id }: RestMessage): Promise<void> {
    this.error = ''
    try {
      await this.client.api.DELETE('/api/chat/messages/{id}/pin/', { params: { path: { id } } })
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
