/** The menu that adds something to a message or sends something else than a text, or the emoji picker. */
import { css, html, LitElement, nothing } from 'lit'
import { property } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { menuItem, menuKeys, menuStyle, selecting } from '../shared/menu.ts'
import { isTouchDevice } from '../shared/pointer.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

/** The types are listed so that a phone converts its own format to JPEG. */
const IMAGES = 'image/jpeg,image/png,image/gif,image/*'

export class ChatAttach extends LitElement {
  static override styles = [
    base,
    menuStyle,
    css`
      @media (min-width: 641px) {
        chat-emoji {
          width: 376px;
        }
      }
    `,
  ]

  @property() kind: 'attach' | 'emoji' = 'attach'
  /** It is opened in a thread, whose replies are neither sent later nor urgent. */
  @property({ type: Boolean }) thread = false
  /** The user may send urgent messages. */
  @property({ type: Boolean }) urgent = false
  /** The position of the button that opened the menu. */
  @property({ attribute: false }) button!: DOMRect

  override render() {
    const { left, right, top: y } = this.button
    // Above the button and towards the middle: the attach button is at the start of the composer, emoji at its end.
    const before = (this.kind === 'emoji') !== this.matches(':dir(rtl)')
    return html`<chat-sheet .label=${t(this.kind)} .anchor=${{ x: before ? right : left, y, above: true, before }}>
      ${
        this.kind === 'emoji'
          ? html`<chat-emoji></chat-emoji>`
          : html`<div class="menu" role="menu" aria-label=${t('attach')} @keydown=${menuKeys}>
              ${
                isTouchDevice()
                  ? html`${menuItem('takePhoto', 'camera', selecting(`camera ${IMAGES}`))}
                    ${menuItem('choosePhoto', 'image', selecting(IMAGES))}`
                  : nothing
              }
              ${menuItem('chooseFile', 'file', selecting(''))}
              ${menuItem('newChecklist', 'checklist', event => openCard(event, 'checklist'))}
              ${menuItem('newPoll', 'poll', event => openCard(event, 'poll'))}
              ${this.thread ? nothing : menuItem('sendLater', 'alarm', event => this.#open(event, 'later'))}
              ${this.urgent && !this.thread ? menuItem('sendUrgent', 'alert', event => this.#open(event, 'urgent')) : nothing}
            </div>`
      }
    </chat-sheet>`
  }

  #open(event: Event, kind: 'later' | 'urgent'): void {
    emit(event.currentTarget!, 'chat-overlay', { kind, button: this.button })
  }
}

function openCard(event: Event, card: 'checklist' | 'poll'): void {
  emit(event.currentTarget!, 'chat-overlay', { kind: 'card', card })
}
