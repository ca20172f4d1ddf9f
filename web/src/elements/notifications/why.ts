/** Why the user was told of a message, or was not. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { type MessageReasons, readMessageReasons } from '../../client/notification-settings.ts'
import type { Message } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { formatDateTime } from '../shared/format.ts'
import { icon } from '../shared/icons.ts'
import { errorText, type TextKey, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'

export class ChatWhy extends LitElement {
  static override styles = [
    base,
    css`
      .frame {
        max-height: min(560px, 78dvh);
        padding: 16px;
        overflow: auto;
        outline: 0;
      }
      h2 {
        font-weight: 600;
        font-size: 18px;
      }
      .message {
        padding-bottom: 12px;
      }
      .answer {
        display: flex;
        gap: 12px;
        padding: 12px;
        border-radius: 12px;
        background: var(--_surface-2);
      }
      .answer svg {
        flex: none;
        color: var(--_text-2);
      }
      .told svg {
        color: var(--_accent);
      }
      b {
        font-weight: 600;
      }
      h3 {
        padding: 16px 0 4px;
        font-size: 13px;
        font-weight: 600;
        color: var(--_text-2);
      }
      .ways li {
        padding: 4px 0;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) message!: Message
  @state() private found: MessageReasons | null = null
  @state() private error = ''

  override firstUpdated(): void {
    void this.#load()
  }

  override render() {
    const { message, found } = this
    const text = plainText(message.content) || message.attachment_name
    return html`<chat-sheet .label=${t('whyTitle')}><div class="frame" tabindex="0">
      <h2>${t('whyTitle')}</h2>
      <p class="message small cut" dir="auto">${nameOf(message.sender)}: ${text}</p>
      ${this.error ? html`<p class="danger" role="alert">${this.error}</p>` : nothing}
      ${found || this.error ? nothing : html`<p class="small" role="status">${t('loading')}</p>`}
      ${found ? this.#answer(found) : nothing}
    </div></chat-sheet>`
  }

  #answer({ told, ways, reasons }: MessageReasons) {
    const isWaiting = !told && ways.some(({ state }) => state === 'waiting')
    const answer = told ? 'whyTold' : isWaiting ? 'whyWaiting' : 'whyNotTold'
    return html`<div class="answer ${told ? 'told' : ''}">${icon(told ? 'bell' : isWaiting ? 'clock' : 'mute')}
        <div><b>${t(answer)}</b><ul>${reasons.map(({ rule, text }) => html`<li>${t(`rule_${rule}` as TextKey) || text}</li>`)}</ul></div></div>
      ${
        ways.length > 0
          ? html`<h3>${t('ways')}</h3><ul class="ways">${ways.map(
              ({ way, state, at }) =>
                html`<li>${t(`way_${way}` as TextKey) || way}<div class="small">${
                  t(`way_${state}` as TextKey, { time: formatDateTime(at) }) || state
                }</div></li>`,
            )}</ul>`
          : nothing
      }`
  }

  async #load(): Promise<void> {
    try {
      this.found = await readMessageReasons(this.client, this.message.id)
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
