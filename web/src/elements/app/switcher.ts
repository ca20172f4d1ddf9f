/** The quick switcher: opens a room, or the direct room with a user, by a part of the name. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { openDirectRoom } from '../../client/direct-room.ts'
import { findUsers } from '../../client/search.ts'
import type { ListedRoom, User } from '../../client/wire.ts'
import { property, query, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { partnerOf, subjectKind } from '../shared/room-name.ts'
import { searchField, searchFieldStyle } from '../shared/search-field.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'

/** Delay between typing and the search for users. */
const DEBOUNCE_MS = 200
const ROOMS_MAX = 8
const USERS_MAX = 5

export class ChatSwitcher extends LitElement {
  static override styles = [
    base,
    searchFieldStyle,
    css`
      .frame {
        display: flex;
        flex-direction: column;
        gap: 8px;
        height: min(480px, 70dvh);
        padding: 12px;
      }
      .field {
        flex: none;
      }
      ul {
        flex: 1;
        min-height: 0;
        overflow: auto;
      }
      li button {
        display: flex;
        align-items: center;
        gap: 12px;
        width: 100%;
        min-height: 48px;
        padding: 0 8px;
        border-radius: 12px;
        --size: 36px;
      }
      li button:hover,
      li button:focus-visible,
      .first {
        background: var(--_hover);
      }
      .none {
        padding: 24px;
        text-align: center;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @state() private term = ''
  @state() private users: readonly User[] = []
  @state() private error = ''
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
    const rooms = this.#rooms()
    const partners = new Set(rooms.map(room => partnerOf(room, this.client.me)?.id))
    const users = this.users.filter(user => user.id !== this.client.me && !partners.has(user.id))
    const found = rooms.length + users.length > 0
    return html`<chat-sheet .label=${t('switcher')}><div class="frame" @keydown=${this.#onKeydown}>
      ${searchField(t('switcher'), this.term, this.#onInput)}
      ${this.error ? html`<p class="danger none" role="alert">${this.error}</p>` : nothing}
      ${found ? nothing : html`<p class="none small" role="status">${t('noFound', { q: this.term })}</p>`}
      <ul>${rooms.map(
        (
          room,
          index,
        ) => html`<li><button class=${index === 0 ? 'first' : ''} @click=${() => this.#open(room.id)}>
          <chat-avatar .name=${room.display_name} .key=${String(partnerOf(room, this.client.me)?.id ?? room.id)}
            .kind=${subjectKind(room.room_type)}></chat-avatar><span class="cut" dir="auto">${room.display_name}</span></button></li>`,
      )}${users.map(
        user => html`<li><button @click=${() => this.#openUser(user)}>
          <chat-avatar .name=${nameOf(user)} .key=${String(user.id)}></chat-avatar>
          <span class="cut" dir="auto">${nameOf(user)}</span></button></li>`,
      )}</ul></div></chat-sheet>`
  }

  /** Returns the rooms whose names contain all words, the latest activity first. */
  #rooms(): ListedRoom[] {
    const words = this.term.toLowerCase().split(/\s+/)
    const matches = ({ display_name }: ListedRoom) =>
      words.every(word => display_name.toLowerCase().includes(word))
    return this.client.inbox.rooms.filter(room => room.is_active && matches(room)).slice(0, ROOMS_MAX)
  }

  #onInput = (): void => {
    this.term = this.input.value.trim()
    this.error = ''
    clearTimeout(this.#timer)
    if (this.term) this.#timer = setTimeout(() => void this.#findUsers(this.term), DEBOUNCE_MS)
    else this.users = []
  }

  async #findUsers(term: string): Promise<void> {
    try {
      const users = await findUsers(this.client, term, USERS_MAX)
      if (term === this.term) this.users = users
    } catch (cause) {
      this.error = errorText(cause)
    }
  }

  #open(id: string): void {
    emit(this, 'chat-open-room', { id })
  }

  async #openUser(user: User): Promise<void> {
    try {
      this.#open(await openDirectRoom(this.client, user))
    } catch (cause) {
      this.error = errorText(cause)
    }
  }

  #onKeydown = (event: KeyboardEvent): void => {
    if (event.isComposing) return
    const buttons = [...this.renderRoot.querySelectorAll<HTMLElement>('li button')]
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const inField = event.composedPath()[0] === this.input
    if (event.key === 'Enter' && inField) {
      event.preventDefault()
      buttons[0]?.click()
    } else if (step !== undefined) {
      event.preventDefault()
      const at = buttons.indexOf((this.renderRoot as ShadowRoot).activeElement as HTMLElement) + step
      // The first result is selected while one types, so the first step leads to the second.
      if (at < 0) this.input.focus()
      else buttons[inField && step > 0 ? Math.min(1, buttons.length - 1) : at]?.focus()
    }
  }
}
