/** The choice of a time: a few that are near, or any other within a year. */
import { css, html, LitElement, nothing } from 'lit'
import { inputTime, offeredTimes } from '../../client/later.ts'
import { property, query, state } from '../shared/decorators.ts'
import { formatTime } from '../shared/format.ts'
import { icon } from '../shared/icons.ts'
import { menuKeys, menuStyle } from '../shared/menu.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

/** The server accepts times up to a year ahead. */
const DAYS_MAX = 365
const DAY_MS = 86_400_000

export class ChatWhen extends LitElement {
  static override styles = [
    base,
    menuStyle,
    css`
      .menu span {
        flex: 1;
      }
      form {
        display: flex;
        align-items: center;
        gap: 8px;
        padding: 4px 12px 8px;
      }
      input {
        min-width: 0;
        color-scheme: inherit;
      }
      p {
        padding: 0 12px 8px;
      }
    `,
  ]

  @property() label = ''
  /** Called with the time that the user has chosen. */
  @property({ attribute: false }) onChoose: (at: Date) => void = () => {}
  /** The user chooses a time that is not offered. */
  @property({ type: Boolean }) own = false
  /** The time that is shown first. */
  @property() initial = ''
  @state() private wrong = false
  @query('input') private input!: HTMLInputElement | null
  /** The last time in the field that the user has made complete. It stays whatever else is shown meanwhile. */
  #typed = ''

  override firstUpdated(): void {
    this.renderRoot.querySelector<HTMLElement>('button, input')?.focus()
  }

  override render() {
    return this.own ? this.#form() : this.#offers()
  }

  #offers() {
    return html`<div class="menu" role="menu" aria-label=${this.label} @keydown=${menuKeys}>
      ${offeredTimes(new Date()).map(
        ({ text, at }) => html`<button role="menuitem" @click=${() => this.onChoose(at)}>${icon('clock')}
          <span>${t(text)}</span><time class="small" datetime=${at.toISOString()}>${formatTime(at.toISOString())}</time></button>`,
      )}
      <button role="menuitem" @click=${this.#startOwn}>${icon('edit')}<span>${t('ownTime')}</span></button></div>`
  }

  #form() {
    const now = Date.now()
    const first = this.initial ? new Date(this.initial) : offeredTimes(new Date()).at(-1)!.at
    return html`<form @submit=${this.#onSubmit}>
        <input type="datetime-local" aria-label=${t('timeLabel')} required .value=${this.#typed || inputTime(first)}
          @input=${this.#onInput} min=${inputTime(new Date(now))} max=${inputTime(new Date(now + DAYS_MAX * DAY_MS))} />
        <button class="plain">${t('setTime')}</button></form>
      ${this.wrong ? html`<p class="danger small" role="alert">${t('badTime')}</p>` : nothing}`
  }

  #onInput = (): void => {
    this.#typed = this.input!.value || this.#typed
  }

  #startOwn = async (): Promise<void> => {
    this.own = true
    await this.updateComplete
    this.input?.focus()
  }

  #onSubmit = (event: Event): void => {
    event.preventDefault()
    const at = new Date(this.input!.value)
    const ahead_ms = at.getTime() - Date.now()
    this.wrong = !(ahead_ms > 0 && ahead_ms <= DAYS_MAX * DAY_MS)
    if (!this.wrong) this.onChoose(at)
  }
}
