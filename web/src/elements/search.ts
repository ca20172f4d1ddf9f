/** Messages of one room that hold a word; choosing one goes there. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../client/client.ts'
import { ChatError } from '../client/rest.ts'
import type { RestMessage } from '../client/wire.ts'
import { emit } from './events.ts'
import { hitStyle, hits } from './hits.ts'
import { icon } from './icons.ts'
import { property, query, state } from './reactive.ts'
import { searchField, searchFieldStyle } from './search-field.ts'
import { t, whyFailed } from './texts.ts'
import { base } from './theme.ts'

/** Letters that say enough to look for. */
const QUERY_MIN = 2
/** A sign of these scripts is a word, or nearly. */
const WORDLIKE = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/u
const WAIT_MS = 250

export class ChatSearch extends LitElement {
  static override styles = [
    base,
    hitStyle,
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
  @state() private found: readonly RestMessage[] | null = null
  @state() private term = ''
  @state() private typed = ''
  @state() private trouble = ''
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
    const { found, term, trouble } = this
    return html`<header>
        ${searchField(t('searchRoom'), this.typed, this.#typed)}
        <button class="icon" aria-label=${t('close')} @click=${() => emit(this, 'chat-close', null)}>${icon('close')}</button>
      </header>
      <div class="list" aria-live="polite">
        ${!isSearched(term) ? html`<p class="none small">${t('searchHint')}</p>` : nothing}
        ${trouble ? html`<p class="none small" role="alert">${trouble}</p>` : nothing}
        ${found?.length === 0 ? html`<p class="none small">${t('noFound', { q: term })}</p>` : nothing}
        ${found ? hits(found, term, one => emit(this, 'chat-open-room', { id: one.room, seq: one.seq })) : nothing}
      </div>`
  }

  #typed = (): void => {
    this.typed = this.input.value
    this.term = this.typed.trim()
    this.trouble = ''
    clearTimeout(this.#timer)
    if (!isSearched(this.term)) this.found = null
    else this.#timer = setTimeout(() => void this.#look(this.term), WAIT_MS)
  }

  async #look(term: string): Promise<void> {
    try {
      const found = await findMessages(this.client, term, this.roomId)
      if (term === this.term) this.found = found
    } catch (cause) {
      this.trouble = whyFailed(cause instanceof ChatError ? cause.code : 'other')
    }
  }
}

/** Whether messages are looked through for `term`. */
export function isSearched(term: string): boolean {
  return [...term].length >= QUERY_MIN || WORDLIKE.test(term)
}

/** Finds messages. @throws ChatError when the server can't be asked */
export async function findMessages(client: Client, q: string, room?: string): Promise<RestMessage[]> {
  const query = room ? { q, room, page_size: 50 } : { q, page_size: 20 }
  const { data } = await client.api.GET('/api/chat/messages/search/', { params: { query } })
  return data.results
}
