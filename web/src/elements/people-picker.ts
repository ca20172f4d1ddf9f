/** Finds people by name; choosing one tells who it was. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../client/client.ts'
import { ChatError } from '../client/rest.ts'
import type { User } from '../client/wire.ts'
import { icon } from './icons.ts'
import { property, query, state } from './reactive.ts'
import { searchField, searchFieldStyle } from './search-field.ts'
import { t, whyFailed } from './texts.ts'
import { base } from './theme.ts'

const WAIT_MS = 200

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
  /** Ids that aren't offered. */
  @property({ attribute: false }) without: ReadonlySet<number> = new Set()
  @property({ attribute: false }) chosen: ReadonlySet<number> = new Set()
  @property({ attribute: false }) choose: (user: User) => void = () => {}
  @state() private found: readonly User[] | null = null
  @state() private trouble = ''
  @state() private term = ''
  @query('input') private input!: HTMLInputElement
  #timer: ReturnType<typeof setTimeout> | undefined

  override firstUpdated(): void {
    this.input.focus()
    void this.#look()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    clearTimeout(this.#timer)
  }

  override render() {
    const found = this.found?.filter(user => user.id !== this.client.me && !this.without.has(user.id))
    return html`${searchField(t('findPeople'), this.term, this.#typed)}
      ${this.trouble ? html`<p class="none danger" role="alert">${this.trouble}</p>` : nothing}
      ${found?.length === 0 ? html`<p class="none small">${t('noFound', { q: this.input.value })}</p>` : nothing}
      <ul>${found?.map(
        user => html`<li><button class="person" aria-pressed=${this.chosen.has(user.id)} @click=${() => this.choose(user)}>
          <chat-avatar .name=${user.full_name || user.username} .key=${String(user.id)}></chat-avatar>
          <span><span class="cut">${user.full_name || user.username}</span><span class="small cut">@${user.username}</span></span>
          ${this.chosen.has(user.id) ? icon('check') : nothing}</button></li>`,
      )}</ul>`
  }

  #typed = (): void => {
    this.term = this.input.value
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#look(), WAIT_MS)
  }

  async #look(): Promise<void> {
    const term = this.input.value.trim()
    this.trouble = ''
    try {
      const found = await findPeople(this.client, term)
      if (term === this.input.value.trim()) this.found = found
    } catch (cause) {
      this.trouble = whyFailed(cause instanceof ChatError ? cause.code : 'other')
    }
  }
}

/** Finds people. @throws ChatError when the server can't be asked */
export async function findPeople(client: Client, search: string, page_size = 50): Promise<User[]> {
  const { data } = await client.api.GET('/api/chat/users/', { params: { query: { search, page_size } } })
  return data.results
}
