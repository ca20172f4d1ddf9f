/** The search in one room. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { RoomView } from '../../client/room.ts'
import { findMessages, isSearchable, type SearchFilters } from '../../client/search.ts'
import type { RestMessage } from '../../client/wire.ts'
import { messageHitStyle, messageHits } from '../search/message-hits.ts'
import type { Choice } from '../search/search-filters.ts'
import { property, query, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { searchField, searchFieldStyle } from '../shared/search-field.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'

/** Delay between typing and the search. */
const DEBOUNCE_MS = 250

export class ChatSearch extends LitElement {
  static override styles = [
    base,
    messageHitStyle,
    searchFieldStyle,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
      }
      header {
        display: flex;
        align-items: center;
        gap: 4px;
        min-height: 56px;
        padding: env(safe-area-inset-top) 8px 0 12px;
        border-bottom: 1px solid var(--_line);
      }
      .list {
        flex: 1;
        overflow: auto;
        padding: 8px;
      }
      .none {
        padding: 24px;
        text-align: center;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property() roomId = ''
  @property({ attribute: false }) view!: RoomView
  @state() private results: readonly RestMessage[] | null = null
  @state() private term = ''
  @state() private typed = ''
  @state() private error = ''
  @state() private filters: SearchFilters = {}
  @query('input') private input!: HTMLInputElement
  #timer: ReturnType<typeof setTimeout> | undefined

  override firstUpdated(): void {
    this.input.focus()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    clearTimeout(this.#timer)
  }

  override render() {
    const { results, term, error } = this
    return html`<header>
        ${searchField(t('searchRoom'), this.typed, this.#onInput)}
        <button class="icon" aria-label=${t('close')} @click=${() => emit(this, 'chat-close', null)}>${icon('close')}</button>
      </header>
      <chat-search-filters .filters=${this.filters} .people=${this.#people()} .onChange=${this.#onFilters}></chat-search-filters>
      <div class="list" aria-live="polite">
        ${!isSearchable(term) ? html`<p class="none small">${t('searchHint')}</p>` : nothing}
        ${error ? html`<p class="none small" role="alert">${error}</p>` : nothing}
        ${results?.length === 0 ? html`<p class="none small">${t('noFound', { q: term })}</p>` : nothing}
        ${results ? messageHits(results, term, ({ room, seq }) => emit(this, 'chat-open-room', { id: room, seq })) : nothing}
      </div>`
  }

  #people(): Choice[] {
    return [...(this.view.timeline?.people.values() ?? [])].map(({ user }) => ({
      id: String(user.id),
      name: nameOf(user),
    }))
  }

  #onFilters = (filters: SearchFilters): void => {
    this.filters = filters
    this.#onInput()
  }

  #onInput = (): void => {
    this.typed = this.input.value
    this.term = this.typed.trim()
    this.error = ''
    clearTimeout(this.#timer)
    if (!isSearchable(this.term)) this.results = null
    else this.#timer = setTimeout(() => void this.#search(this.term), DEBOUNCE_MS)
  }

  async #search(term: string): Promise<void> {
    try {
      const { filters } = this
      const results = await findMessages(this.client, term, { ...filters, room: this.roomId })
      if (term === this.term && filters === this.filters) this.results = results
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
