/** The form for a new checklist or poll. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { OutgoingExtras } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

/** The server's limits. */
const LINES_MAX = 50
const LINE_MAX = 500
const TITLE_MAX = 255
/** Lines of an empty form. */
const LINES = ['', '', '']
const CHOICES_MIN = 2

export class ChatNewCard extends LitElement {
  static override styles = [
    base,
    css`
      form {
        display: flex;
        flex-direction: column;
        gap: 12px;
        max-height: 78dvh;
        padding: 16px;
      }
      h2 {
        font-weight: 600;
        font-size: 18px;
      }
      ul {
        display: grid;
        gap: 4px;
        min-height: 88px;
        overflow: auto;
      }
      li {
        display: flex;
        align-items: center;
        gap: 4px;
      }
      label {
        display: flex;
        align-items: center;
        gap: 8px;
        min-height: 44px;
      }
      [type='checkbox'] {
        width: 20px;
        height: 20px;
        min-height: 0;
        margin: 0;
        accent-color: var(--_accent);
      }
      .add {
        display: flex;
        align-items: center;
        align-self: flex-start;
        gap: 8px;
        min-height: 44px;
      }
    `,
  ]

  @property() kind: 'checklist' | 'poll' = 'checklist'
  @property({ attribute: false }) client!: Client
  @property() roomId = ''
  /** Further fields of the message. */
  @property({ attribute: false }) extras: OutgoingExtras = {}
  @state() private cardTitle = ''
  @state() private lines: readonly string[] = LINES
  @state() private multiple = false
  @state() private error = ''

  override render() {
    const poll = this.kind === 'poll'
    const label = t(poll ? 'newPoll' : 'newChecklist')
    const title = t(poll ? 'pollQuestion' : 'cardTitle')
    return html`<chat-sheet .label=${label}><form @submit=${this.#onSubmit}>
      <h2>${label}</h2>
      <input placeholder=${title} aria-label=${title} maxlength=${TITLE_MAX} .value=${this.cardTitle} autocomplete="off"
        @input=${(event: Event) => {
          this.cardTitle = textOf(event)
        }} />
      <ul>${this.lines.map((line, index) => this.#line(line, index))}</ul>
      <button type="button" class="plain add" ?disabled=${this.lines.length >= LINES_MAX}
        @click=${() => this.#addLine(this.lines.length)}>${icon('plus')}${t('addLine')}</button>
      ${
        poll
          ? html`<label><input type="checkbox" .checked=${this.multiple} @change=${(event: Event) => {
              this.multiple = (event.target as HTMLInputElement).checked
            }} />${t('allowSeveral')}</label>`
          : nothing
      }
      ${this.error ? html`<p class="danger" role="alert">${this.error}</p>` : nothing}
      <button class="solid" ?disabled=${this.#texts.length === 0}>${t('send')}</button>
    </form></chat-sheet>`
  }

  override async firstUpdated(): Promise<void> {
    await this.renderRoot.querySelector<LitElement>('chat-sheet')!.updateComplete
    this.renderRoot.querySelector('input')!.focus()
  }

  #line(line: string, index: number) {
    const n = index + 1
    const label = t(this.kind === 'poll' ? 'choice' : 'item', { n })
    return html`<li><input class="line" placeholder=${label} aria-label=${label} maxlength=${LINE_MAX} .value=${line} autocomplete="off"
        enterkeyhint="next" @input=${(event: Event) => this.#setLine(index, textOf(event))}
        @keydown=${(event: KeyboardEvent) => this.#onKeydown(event, index)} />
      <button type="button" class="icon" aria-label=${t('removeLine', { n })} ?disabled=${this.lines.length < 2}
        @click=${() => this.#removeLine(index)}>${icon('close')}</button></li>`
  }

  get #texts(): string[] {
    return this.lines.map(line => line.trim()).filter(Boolean)
  }

  #setLine(index: number, text: string): void {
    this.lines = this.lines.with(index, text)
  }

  #removeLine(index: number): void {
    this.lines = this.lines.toSpliced(index, 1)
    void this.#focusLine(Math.max(0, index - 1))
  }

  #addLine(index: number): void {
    if (this.lines.length >= LINES_MAX) return
    this.lines = this.lines.toSpliced(index, 0, '')
    void this.#focusLine(index)
  }

  async #focusLine(index: number): Promise<void> {
    await this.updateComplete
    this.renderRoot.querySelectorAll<HTMLInputElement>('.line')[index]?.focus()
  }

  /** Enter leads to the next line, which is added after the last one. */
  #onKeydown(event: KeyboardEvent, index: number): void {
    if (event.key !== 'Enter' || event.isComposing) return
    event.preventDefault()
    if (index < this.lines.length - 1) void this.#focusLine(index + 1)
    else if (this.lines[index]!.trim()) this.#addLine(index + 1)
  }

  #onSubmit = (event: Event): void => {
    event.preventDefault()
    const texts = this.#texts
    this.error = this.kind === 'poll' && texts.length < CHOICES_MIN ? t('tooFew') : ''
    if (this.error || texts.length === 0) return
    const parts = texts.map((text, index) => ({ id: String(index + 1), text }))
    const title = this.cardTitle.trim()
    const card =
      this.kind === 'poll'
        ? { v: 1, kind: 'poll', title, choices: parts, multiple: this.multiple }
        : { v: 1, kind: 'checklist', title, items: parts }
    try {
      this.client.outbox.add({
        client_id: crypto.randomUUID(),
        room_id: this.roomId,
        content: '',
        reply_to: null,
        file: null,
        at_ms: Date.now(),
        extras: { ...this.extras, card },
      })
      emit(this.renderRoot.querySelector('chat-sheet')!, 'chat-close', null)
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}

function textOf(event: Event): string {
  return (event.target as HTMLInputElement).value
}
