/** The bar with the pinned messages of a room. Each press leads to the next older one. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import { Pins } from '../../client/pins.ts'
import type { Room, RoomView } from '../../client/room.ts'
import type { RestMessage } from '../../client/wire.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { type ChatEvent, emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'

export class ChatPins extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        flex: none;
      }
      .bar {
        display: flex;
        align-items: center;
        gap: 4px;
        padding: 0 8px;
        border-bottom: 1px solid var(--_line);
      }
      .pin {
        display: grid;
        grid-template: 'sign title' 'sign text' / auto 1fr;
        flex: 1;
        gap: 0 12px;
        align-items: center;
        min-width: 0;
        min-height: 48px;
        padding: 4px 8px;
        border-radius: 8px;
        font-size: 13px;
        line-height: 18px;
      }
      .pin:hover {
        background: var(--_hover);
      }
      .pin svg {
        grid-area: sign;
        width: 20px;
        height: 20px;
        color: var(--_accent);
      }
      b {
        font-weight: 600;
        color: var(--_accent);
      }
      .cut {
        color: var(--_text-2);
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) view!: RoomView
  /** The message that the bar shows. */
  @state() private shown: string | null = null
  @state() private listed = false
  #pins: Pins | null = null

  constructor() {
    super()
    new ChangeController(this, () => [this.#pins])
  }

  override connectedCallback(): void {
    super.connectedCallback()
    if (this.hasUpdated) this.#follow()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#pins?.stop()
    this.#pins = null
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('room')) this.#follow()
  }

  override render() {
    const messages = this.#pins?.messages ?? []
    // Of a message that has been taken off, the place is shown that the last one has.
    const index = Math.max(
      0,
      messages.findIndex(({ id }) => id === this.shown),
    )
    const message = messages[index]
    if (!message) return nothing
    const n = messages.length
    const title = n === 1 ? t('pinned1') : t('pinnedOf', { n: n - index, all: n })
    const text = plainText(message.content) || message.attachment_name
    return html`<div class="bar" role="region" aria-label=${t('pins')}>
        <button class="pin" @click=${() => this.#jump(messages, index)}>${icon('pin')}<b>${title}</b>
          <span class="cut" dir="auto">${nameOf(message.sender)}: ${text}</span></button>
        ${
          n > 1
            ? html`<button class="icon" aria-label=${t('allPins')} title=${t('allPins')} @click=${this.#openList}>${icon('list')}</button>`
            : nothing
        }
      </div>
      ${
        this.listed
          ? html`<chat-pin-list .client=${this.client} .room=${this.room} .messages=${messages} @chat-close=${this.#closeList}
              @chat-open-room=${this.#onSelect}></chat-pin-list>`
          : nothing
      }`
  }

  /** Follows the pins of the room that is shown. */
  #follow(): void {
    this.#pins?.stop()
    this.#pins = new Pins(this.client, this.room.id)
    this.shown = null
    this.listed = false
  }

  /** Leads to a message; the bar then shows the next older one, and after the oldest the newest. */
  #jump(messages: readonly RestMessage[], index: number): void {
    emit(this, 'chat-jump', { id: messages[index]!.id })
    this.shown = messages[(index + 1) % messages.length]!.id
  }

  #openList = (): void => {
    this.listed = true
    void import('../define-lazy.ts')
  }

  #closeList = (event: Event): void => {
    event.stopPropagation()
    this.listed = false
  }

  #onSelect = (event: ChatEvent<'chat-open-room'>): void => {
    event.stopPropagation()
    this.listed = false
    const message = this.#pins?.messages.find(({ seq }) => seq === event.detail.seq)
    if (message) emit(this, 'chat-jump', { id: message.id })
  }
}
