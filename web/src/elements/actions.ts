/** What can be done with a message, and who has read it. */
import { css, html, LitElement, nothing } from 'lit'
import type { RoomView } from '../client/room.ts'
import type { Message } from '../client/wire.ts'
import { emit } from './events.ts'
import { type IconName, icon } from './icons.ts'
import { menuKeys, menuStyle } from './menu-style.ts'
import { property, state } from './reactive.ts'
import type { Place } from './sheet.ts'
import { type TextKey, t } from './texts.ts'
import { base } from './theme.ts'

export class ChatActions extends LitElement {
  static override styles = [
    base,
    menuStyle,
    css`
      p {
        max-width: 360px;
        padding: 8px 12px;
      }
    `,
  ]

  @property({ attribute: false }) message!: Message
  @property({ attribute: false }) view!: RoomView
  @property({ attribute: false }) me: number | null = null
  @property({ attribute: false }) anchor: Place | null = null
  /** Deleting was chosen: nothing brings a message back, so it is asked once more. */
  @state() private sure = false

  override render() {
    return html`<chat-sheet .anchor=${this.anchor} .label=${t('actions')}>
      ${this.sure ? this.#ask() : this.#actions()}
    </chat-sheet>`
  }

  override updated(): void {
    if (this.sure) this.renderRoot.querySelector<HTMLElement>('[role=menuitem]')?.focus()
  }

  #actions() {
    const { message } = this
    const mine = message.sender.id === this.me
    const readers = mine ? this.#readers() : ''
    return html`<div class="menu" role="menu" aria-label=${t('actions')} @keydown=${menuKeys}>
        ${line('reply', 'reply')} ${message.content ? line('copy', 'copy') : nothing}
        ${mine ? line('edit', 'edit') : nothing}
        ${
          mine || this.#rules()
            ? line('remove', 'trash', true, () => {
                this.sure = true
              })
            : nothing
        }
      </div>
      ${readers ? html`<p class="small">${t('readBy', { names: readers })}</p>` : nothing}`
  }

  #ask() {
    return html`<p>${t('removeSure')}</p>
      <div class="menu" role="menu" aria-label=${t('removeSure')} @keydown=${menuKeys}>
        ${line('remove', 'trash', true)} ${line('cancel', 'close', false, () => emit(this, 'chat-close', null))}
      </div>`
  }

  /** Whether one looks after this room, and may delete what others write; a direct room is nobody's. */
  #rules(): boolean {
    const { timeline } = this.view
    const self = this.me === null ? null : timeline?.people.get(this.me)
    return Boolean(self?.is_admin) && timeline?.room.room_type !== 'direct'
  }

  /** The names of those who have read as far as here. */
  #readers(): string {
    const { timeline, marks } = this.view
    return [...(timeline?.people.values() ?? [])]
      .filter(
        ({ user }) => user.id !== this.message.sender.id && (marks.get(user.id) ?? 0) >= this.message.seq,
      )
      .map(({ user }) => user.full_name || user.username)
      .join(', ')
  }
}

/** A line of the menu; without `act`, choosing it is told to the conversation. */
function line(value: TextKey, sign: IconName, danger = false, act?: () => void) {
  const choose = act ?? ((event: Event) => emit(event.currentTarget!, 'chat-pick', { value }))
  return html`<button role="menuitem" class=${danger ? 'danger' : ''} @click=${choose}>${icon(sign)}${t(value)}</button>`
}
