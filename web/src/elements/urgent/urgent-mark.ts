/**
 * The head of an urgent message: the button that acknowledges it, and who has done so.
 *
 * One that has not been sent yet has no acknowledgements.
 */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { Message, Participant } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { formatDateTime, formatTime } from '../shared/format.ts'
import { icon } from '../shared/icons.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'

export class ChatUrgentMark extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        margin-bottom: 4px;
        font-size: 13px;
      }
      .head {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 4px 8px;
      }
      .head svg {
        flex: none;
        width: 18px;
        height: 18px;
      }
      .head b {
        display: inline-flex;
        align-items: center;
        gap: 4px;
        padding: 1px 8px 1px 4px;
        border-radius: 12px;
        background: var(--_danger);
        color: var(--_surface);
        font-weight: 600;
      }
      button {
        min-height: 28px;
        padding: 0 12px;
        border-radius: 14px;
        font: inherit;
      }
      .got {
        border: 1px solid transparent;
        background: var(--_accent);
        color: var(--_on-accent);
        font-weight: 600;
      }
      .count {
        color: inherit;
        text-decoration: underline;
        text-underline-offset: 3px;
      }
      ul {
        margin: 4px 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        justify-content: space-between;
        gap: 16px;
      }
      @media (pointer: coarse) {
        button {
          min-height: 44px;
          border-radius: 22px;
        }
      }
    `,
  ]

  @property({ attribute: false }) message!: Message
  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) people: ReadonlyMap<number, Participant> = new Map()
  /** The list of those who have acknowledged the message is open. */
  @state() private open = false
  @state() private error = ''
  /** The user has acknowledged the message, and its event has not come yet. */
  @state() private given = false

  override render() {
    const { ack_by } = this.message.urgent ?? {}
    return html`<div class="head"><b>${icon('alert')}${t('urgent')}</b>
        ${ack_by ? html`<time datetime=${ack_by} title=${formatDateTime(ack_by)}>${t('ackBy', { time: formatTime(ack_by) })}</time>` : nothing}
        ${this.#isAsked ? html`<button class="got" @click=${() => this.#acknowledge()}>${t('gotIt')}</button>` : nothing}
        ${this.#count()}</div>
      ${this.error ? html`<div class="danger" role="alert">${this.error}</div>` : nothing}
      ${this.open ? this.#list() : nothing}`
  }

  get #acks() {
    return this.message.urgent?.acks ?? []
  }

  /** Whether the user has not acknowledged another user's message. */
  get #isAsked(): boolean {
    const { sender, rev } = this.message
    const { me } = this.client
    return rev > 0 && sender.id !== me && !this.given && !this.#acks.some(({ user_id }) => user_id === me)
  }

  /** Renders how many have acknowledged the message. Who has is shown in a list. */
  #count() {
    const n = this.message.urgent?.ack_count ?? 0
    if (n === 0) return html`<span>${t('nobodyYet')}</span>`
    return html`<button class="plain count" aria-expanded=${this.open} @click=${() => (this.open = !this.open)}>${n === 1 ? t('gotIt1') : t('gotItMany', { n })}</button>`
  }

  #list() {
    const others = (this.message.urgent?.ack_count ?? 0) - this.#acks.length
    return html`<ul>${this.#acks.map(({ user_id, at }) => {
      const user = this.people.get(user_id)?.user
      const name = user_id === this.client.me ? t('you') : user ? nameOf(user) : t('someoneLeft')
      return html`<li><span class="cut" dir="auto">${name}</span><time datetime=${at} title=${formatDateTime(at)}>${formatTime(at)}</time></li>`
    })}${others > 0 ? html`<li>${t('ackOthers', { n: others })}</li>` : nothing}</ul>`
  }

  async #acknowledge(): Promise<void> {
    this.given = true
    this.error = ''
    try {
      const path = { id: this.message.id }
      await this.client.api.POST('/api/chat/messages/{id}/ack/', { params: { path } })
    } catch (cause) {
      this.given = false
      this.error = errorText(cause)
    }
  }
}
