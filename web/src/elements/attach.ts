/** The sheet for what goes into a message besides text: a photo, a picture, a file, emoji. */
import { css, html, LitElement } from 'lit'
import { emit } from './events.ts'
import { type IconName, icon } from './icons.ts'
import { menuKeys, menuStyle } from './menu-style.ts'
import { property } from './reactive.ts'
import { type TextKey, t } from './texts.ts'
import { base } from './theme.ts'

/** Named one by one, for then a phone gives a JPEG instead of what only it can read. */
const PICTURES = 'image/jpeg,image/png,image/gif,image/*'

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
  /** Where the button is that it was opened by. */
  @property({ attribute: false }) at!: DOMRect

  override render() {
    const { left, right, top: y } = this.at
    // Over its button and towards the middle: files are at the start of the composer, emoji at its end.
    const before = (this.kind === 'emoji') !== this.matches(':dir(rtl)')
    return html`<chat-sheet .label=${t(this.kind)} .anchor=${{ x: before ? right : left, y, above: true, before }}>
      ${
        this.kind === 'emoji'
          ? html`<chat-emoji></chat-emoji>`
          : html`<div class="menu" role="menu" aria-label=${t('attach')} @keydown=${menuKeys}>
              ${line(`camera ${PICTURES}`, 'takePhoto', 'camera')} ${line(PICTURES, 'choosePhoto', 'image')}
              ${line('', 'chooseFile', 'file')}
            </div>`
      }
    </chat-sheet>`
  }
}

function line(value: string, text: TextKey, sign: IconName) {
  return html`<button role="menuitem" @click=${(event: Event) => {
    emit(event.currentTarget!, 'chat-pick', { value })
  }}>${icon(sign)}${t(text)}</button>`
}
