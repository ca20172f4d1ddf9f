/** What is offered for a text that is too long for one message: several messages, or a file. */
import { css, html, LitElement, nothing } from 'lit'
import { property } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { splitText } from './split-text.ts'

/** Maximum number of messages that a text is split into: more would fill the room. */
const PARTS_MAX = 20

export class ChatTooLong extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0 8px;
        padding: 0 8px 4px;
        font-size: 13px;
      }
    `,
  ]

  @property({ attribute: false }) area!: HTMLTextAreaElement
  /** The maximum length of a message, and by how much the text exceeds it, in code points. */
  @property({ attribute: false }) max = 0
  @property({ attribute: false }) excess = 0
  /** An existing message is edited: it can only become shorter. */
  @property({ type: Boolean }) editing = false

  override render() {
    return html`<span class="danger" role="status">${t('tooLong', { n: this.excess })}</span>
      ${this.editing ? nothing : this.#offers()}`
  }

  #offers() {
    const n = this.excess < PARTS_MAX * this.max ? this.#parts().length : 0
    return html`${
      n > 0 && n <= PARTS_MAX
        ? html`<button class="plain" @click=${() => this.#emit(this.#parts(), [])}>${t('sendParts', { n })}</button>`
        : nothing
    }<button class="plain" @click=${() => this.#emit([], [this.#file()])}>${t('attachText')}</button>`
  }

  #parts(): string[] {
    return splitText(this.area.value, this.max)
  }

  #file(): File {
    return new File([this.area.value.trim()], t('textFile'), { type: 'text/plain' })
  }

  #emit(texts: string[], files: File[]): void {
    emit(this, 'chat-parts', { texts, files })
  }
}
