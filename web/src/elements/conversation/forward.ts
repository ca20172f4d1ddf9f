/** The dialog that forwards a message to other rooms. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { ListedRoom, Message } from '../../client/wire.ts'
import { property, query, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { partnerOf, subjectKind } from '../shared/room-name.ts'
import { searchField, searchFieldStyle } from '../shared/search-field.ts'
import { codeText, errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'

/** The server's limits. */
const ROOMS_MAX = 10
const COMMENT_MAX = 4_000

export class ChatForward extends LitElement {
  static override styles = [
    base,
    searchFieldStyle,
    css`
      .frame {
        display: flex;
        flex-direction: column;
        gap: 8px;
        height: min(600px, 80dvh);
        padding: 16px;
      }
      h2 {
        font-weight: 600;
        font-size: 18px;
      }
      .field {
        flex: none;
      }
      .quote {
        padding: 4px 8px;
        border-inline-start: 3px solid var(--_accent);
        border-radius: 6px;
        background: var(--_wash);
        font-size: 13px;
      }
      .quote b {
        font-weight: 600;
      }
      .quote .cut {
        display: block;
      }
      ul {
        flex: 1;
        min-height: 0;
        margin: 0 -8px;
        overflow: auto;
      }
      li button {
        display: flex;
        align-items: center;
        gap: 12px;
        width: 100%;
        min-height: 56px;
        padding: 0 8px;
        border-radius: 12px;
        --size: 40px;
      }
      li button:enabled:hover {
        background: var(--_hover);
      }
      li button > span {
        flex: 1;
        display: grid;
        min-width: 0;
      }
      li button > svg {
        flex: none;
        color: var(--_accent);
      }
      .none {
        padding: 24px;
        text-align: center;
      }
      form {
        display: flex;
        gap: 8px;
      }
      .solid {
        flex: none;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) message!: Message
  @state() private chosen: ReadonlySet<string> = new Set()
  /** The codes of the rooms in which nothing was sent. */
  @state() private errors: Readonly<Record<string, string>> = {}
  @state() private error = ''
  @state() private term = ''
  @state() private sending = false
  @query('input[type=search]') private input!: HTMLInputElement
  @query('#comment') private comment!: HTMLInputElement
  /** What was sent last, and the id by which a repetition of it sends nothing twice. */
  #attempt = { what: '', client_id: '' }

  override firstUpdated(): void {
    this.input.focus()
  }

  override render() {
    const { chosen, message } = this
    const rooms = this.#rooms()
    const text = plainText(message.content) || message.attachment_name
    return html`<chat-sheet .label=${t('forward')}><div class="frame">
      <h2>${t('forward')}</h2>
      <div class="quote"><b class="cut" dir="auto">${nameOf(message.sender)}</b><span class="cut" dir="auto">${text}</span></div>
      ${searchField(t('findRooms'), this.term, this.#onInput)}
      ${rooms.length === 0 ? html`<p class="none small" role="status">${t('noFound', { q: this.term })}</p>` : nothing}
      <ul aria-label=${t('rooms')}>${rooms.map(room => this.#room(room))}</ul>
      ${chosen.size === ROOMS_MAX ? html`<p class="small" role="status">${t('forwardMax', { n: ROOMS_MAX })}</p>` : nothing}
      ${this.error ? html`<p class="danger" role="alert">${this.error}</p>` : nothing}
      <form @submit=${this.#onSubmit}><input id="comment" maxlength=${COMMENT_MAX} autocomplete="off" placeholder=${t('forwardComment')}
        aria-label=${t('forwardComment')} />
        <button class="solid" ?disabled=${chosen.size === 0 || this.sending}>${t('send')}${chosen.size > 1 ? ` (${chosen.size})` : ''}</button></form>
    </div></chat-sheet>`
  }

  #room(room: ListedRoom) {
    const isChosen = this.chosen.has(room.id)
    const code = this.errors[room.id]
    return html`<li><button aria-pressed=${isChosen} ?disabled=${!isChosen && this.chosen.size >= ROOMS_MAX} @click=${() => this.#toggle(room.id)}>
      <chat-avatar .name=${room.display_name} .key=${String(partnerOf(room, this.client.me)?.id ?? room.id)}
        .kind=${subjectKind(room.room_type)}></chat-avatar>
      <span><span class="cut" dir="auto">${room.display_name}</span>${code ? html`<span class="danger small">${t('notSent')} ${codeText(code)}</span>` : nothing}</span>
      ${isChosen ? icon('check') : nothing}</button></li>`
  }

  /** Returns the rooms that the search finds, the latest activity first. */
  #rooms(): ListedRoom[] {
    const words = this.term.trim().toLowerCase().split(/\s+/)
    return this.client.inbox.rooms.filter(
      ({ is_active, display_name }) =>
        is_active && words.every(word => display_name.toLowerCase().includes(word)),
    )
  }

  #onInput = (): void => {
    this.term = this.input.value
  }

  #toggle(id: string): void {
    const chosen = new Set(this.chosen)
    if (!chosen.delete(id)) chosen.add(id)
    this.chosen = chosen
    const { [id]: _known, ...errors } = this.errors
    this.errors = errors
  }

  #onSubmit = (event: Event): void => {
    event.preventDefault()
    if (this.chosen.size > 0 && !this.sending) void this.#send()
  }

  /** Sends to the chosen rooms. Those in which that fails stay chosen. */
  async #send(): Promise<void> {
    this.sending = true
    this.error = ''
    this.errors = {}
    const content = this.comment.value.trim()
    const rooms = [...this.chosen]
    const what = JSON.stringify([rooms, content])
    if (what !== this.#attempt.what) this.#attempt = { what, client_id: crypto.randomUUID() }
    const { client_id } = this.#attempt
    try {
      const { data } = await this.client.api.POST('/api/chat/messages/forward/', {
        body: { message_ids: [this.message.id], rooms, client_id, ...(content && { content }) },
      })
      this.errors = data.errors as Record<string, string>
      this.chosen = new Set(rooms.filter(id => id in this.errors))
      if (this.chosen.size === 0) emit(this.input, 'chat-close', null)
      else this.error = t('forwardFailed')
    } catch (cause) {
      this.error = errorText(cause)
    } finally {
      this.sending = false
    }
  }
}
