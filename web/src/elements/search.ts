/** Messages of one room that hold a word; choosing one goes there. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../client/client.ts'
import { ChatError } from '../client/rest.ts'
import type { RestMessage } from '../client/wire.ts'
import { emit } from './events.ts'
import { hitStyle, hits } from './hits.ts'
import { icon } from './icons.ts'
import { property, query, state } from './reactive.ts'
import { t, whyFailed } from './texts.ts'
import { base } from './theme.ts'

const QUERY_MIN = 2
const CJK = /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}]/u
/** The server looks for nothing shorter. */
export const isLong = (term: string): boolean => [...term].length >= QUERY_MIN || CJK.test(term)
const WAIT_MS = 250

export class ChatSearch extends LitElement {
  static override styles = [
    base,
    hitStyle,
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
        <input type="search" placeholder=${t('searchRoom')} aria-label=${t('searchRoom')} @input=${this.#typed} />
        <button class="icon" aria-label=${t('close')} @click=${() => emit(this, 'chat-close', null)}>${icon('close')}</button>
      </header>
      <div class="list" aria-live="polite">
        ${isLong(term) ? nothing : html`<p class="none small">${t('searchHint')}</p>`}
        ${trouble ? html`<p class="none small" role="alert">${trouble}</p>` : nothing}
        ${found?.length === 0 ? html`<p class="none small">${t('noFound', { q: term })}</p>` : nothing}
        ${found ? hits(found, term, one => emit(this, 'chat-open-room', { id: one.room, seq: one.seq })) : nothing}
      </div>`
  }

  #typed = (): void => {
    this.term = this.input.value.trim()
    this.trouble = ''
    clearTimeout(this.#timer)
    if (!isLong(this.term)) this.found = null
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

/** Finds messages. @throws ChatError when the server can't be asked */
export async function findMessages(client: Client, q: string, room?: string): Promise<RestMessage[]> {
  const query = room ? { q, room, page_size: 50 } : { q, page_size: 20 }
  const { data } = await client.api.GET('/api/chat/messages/search/', { params: { query } })
  return data.results
}
