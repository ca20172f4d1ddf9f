/** Finds users by name and passes the selected one to `onSelect`. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { findUsers } from '../../client/search.ts'
import type { User } from '../../client/wire.ts'
import { property, query, state } from './decorators.ts'
import { icon } from './icons.ts'
import { searchField, searchFieldStyle } from './search-field.ts'
import { errorText, t } from './texts.ts'
import { base } from './theme.ts'
import { nameOf } from './user-name.ts'

/** Delay between typing and the search. */
const DEBOUNCE_MS = 200

export class ChatPeoplePicker extends LitElement {
  static override styles = [
    base,
    searchFieldStyle,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
        gap: 8px;
      }
      .field {
        flex: none;
      }
      ul {
        flex: 1;
        min-height: 0;
        overflow: auto;
      }
      .person {
        display: flex;
        align-items: center;
        gap: 12px;
        width: 100%;
        min-height: 56px;
        padding: 0 8px;
        border-radius: 12px;
        --size: 40px;
      }
      .person:hover {
        background: var(--_hover);
      }
      .person > span {
        flex: 1;
        display: grid;
        min-width: 0;
      }
      .person > svg {
        color: var(--_accent);
      }
      .none {
        padding: 24px;
        text-align: center;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  /** Ids of users that are not offered. */
  @property({ attribute: false }) excluded: ReadonlySet<number> = new Set()
  @property({ attribute: false }) chosen: ReadonlySet<number> = new Set()
  @property({ attribute: false }) onSelect: (user: User) => void = () => {}
  @state() private users: readonly User[] | null = null
  @state() private error = ''
  @state() private term = ''
  @query('input') private input!: HTMLInputElement
  #timer: ReturnType<typeof setTimeout> | undefined

  override firstUpdated(): void {
    this.input.focus()
    void this.#search()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    clearTimeout(this.#timer)
  }

  override render() {
    const users = this.users?.filter(user => user.id !== this.client.me && !this.excluded.has(user.id))
    return html`${searchField(t('findPeople'), this.term, this.#onInput)}
      ${this.error ? html`<p class="none danger" role="alert">${this.error}</p>` : nothing}
      ${users?.length === 0 ? html`<p class="none small">${t('noFound', { q: this.input.value })}</p>` : nothing}
      <ul>${users?.map(
        user => html`<li><button class="person" aria-pressed=${this.chosen.has(user.id)} @click=${() => this.onSelect(user)}>
          <chat-avatar .name=${nameOf(user)} .key=${String(user.id)}></chat-avatar>
          <span><span class="cut">${nameOf(user)}</span><span class="small cut">@${user.username}</span></span>
          ${this.chosen.has(user.id) ? icon('check') : nothing}</button></li>`,
      )}</ul>`
  }

  #onInput = (): void => {
    this.term = this.input.value
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#search(), DEBOUNCE_MS)
  }

  async #search(): Promise<void> {
    const term = this.input.value.trim()
    this.error = ''
    try {
      const users = await findUsers(this.client, term)
      if (term === this.input.value.trim()) this.users = users
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
