/** A row with the emoji used last, for reacting to a message, and a button that opens the picker. */
import { css, html, LitElement } from 'lit'
import type { Client } from '../../client/client.ts'
import { isMine, react } from '../../client/reactions.ts'
import type { Message } from '../../client/wire.ts'
import { property } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { recentEmoji, rememberEmoji } from '../shared/recent-emoji.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

const SHOWN = 6

export class ChatQuickReactions extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
      }
      div {
        display: flex;
        justify-content: space-between;
      }
      button {
        display: grid;
        place-items: center;
        width: 32px;
        height: 32px;
        border-radius: 50%;
        font-size: 20px;
        line-height: 1;
        color: var(--_text-2);
      }
      button:enabled:hover {
        background: var(--_hover);
      }
      [aria-pressed='true'],
      [aria-pressed='true']:enabled:hover {
        background: var(--_mine);
        box-shadow: inset 0 0 0 1px var(--_accent);
      }
      svg {
        width: 20px;
        height: 20px;
      }
      :host([floating]) {
        position: absolute;
        z-index: 2;
        padding: 2px 6px;
        border: 1px solid var(--_line);
        border-radius: 20px;
        background: var(--_surface);
        box-shadow: var(--_shadow);
        animation: appear 120ms ease-out;
      }
      @keyframes appear {
        from {
          opacity: 0;
        }
      }
      :host(:not([floating])) div {
        padding: 0 0 8px;
      }
      :host(:not([floating])) button {
        width: 40px;
        height: 44px;
        font-size: 24px;
      }
      @media (max-width: 640px) {
        :host(:not([floating])) button {
          width: 44px;
          font-size: 28px;
        }
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) message!: Message
  @property({ type: Boolean }) disabled = false
  /** It floats beside a message instead of being a row of its menu. */
  @property({ type: Boolean, reflect: true }) floating = false
  /** The row does not move between two uses of the element. */
  #emoji = recentEmoji(SHOWN)

  override render() {
    const { message, client } = this
    const own = new Set(
      (message.reactions ?? []).filter(one => isMine(client, message, one)).map(one => one.emoji),
    )
    return html`<div role="group" aria-label=${t('react')} @keydown=${this.#onKeydown}>${this.#emoji.map(
      emoji =>
        html`<button ?disabled=${this.disabled} aria-pressed=${own.has(emoji)} @click=${() =>
          this.#toggle(emoji, !own.has(emoji))}>${emoji}</button>`,
    )}<button ?disabled=${this.disabled} aria-label=${t('moreEmoji')} title=${t('moreEmoji')}
      @click=${this.#openPicker}>${icon('plus')}</button></div>`
  }

  #toggle(emoji: string, on: boolean): void {
    react(this.client, this.message, emoji, on)
    if (on) rememberEmoji(emoji)
    emit(this, 'chat-close', null)
  }

  #openPicker = (event: Event): void => {
    const button = (event.currentTarget as Element).getBoundingClientRect()
    emit(this, 'chat-overlay', { kind: 'emoji', button, message: this.message })
  }

  #onKeydown = (event: KeyboardEvent): void => {
    const direction = this.matches(':dir(rtl)') ? -1 : 1
    const step = { ArrowLeft: -direction, ArrowRight: direction }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const buttons = [...this.renderRoot.querySelectorAll('button')]
    const index = buttons.indexOf((this.renderRoot as ShadowRoot).activeElement as HTMLButtonElement)
    buttons[(index + step + buttons.length) % buttons.length]?.focus()
  }
}
