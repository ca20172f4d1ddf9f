/** `<chat-room>`: one room, for a page that embeds it by task, property or id. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import { Retry } from '../client/backoff.ts'
import type { Api } from '../client/calls.ts'
import { ChatError } from '../client/rest.ts'
import type { TokenSource } from '../client/token.ts'
import { Connection, HOME } from './connection.ts'
import { property, state } from './reactive.ts'
import { t, whyFailed } from './texts.ts'
import { base, theme } from './theme.ts'

export class ChatRoom extends LitElement {
  static override styles = [
    theme,
    base,
    css`
      :host {
        display: block;
        height: 480px;
        overflow: hidden;
      }
      .note {
        display: grid;
        place-content: center;
        height: 100%;
        padding: 24px;
        text-align: center;
        color: var(--_text-2);
      }
    `,
  ]

  /** The room of this task. */
  @property() task: string | null = null
  /** The room of this property (of a house). */
  @property({ attribute: 'property' }) property: string | null = null
  /** The room with this id. */
  @property() room: string | null = null
  /** What the host calls the task or property. */
  @property() subject = ''
  /** Where the engine is; by default where this script comes from. */
  @property() server = HOME
  /** An access token, or (as a property) a function that gives one. */
  @property() token: TokenSource | null = null
  @state() private roomId: string | null = null
  @state() private trouble = ''
  #connection = new Connection(this)
  #asked = ''
  /** What was asked by: another token may bring another answer. */
  #by: Api | null = null
  #again = new Retry(() => this.#anew())

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    // Who comes back asks again if it hasn't got its room.
    this.#again.end()
    if (!this.roomId) this.#asked = ''
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('token') || changed.has('server')) {
      this.#connection.use(this.token, this.server.replace(/\/$/, ''))
    }
    void this.#find()
  }

  override render() {
    const { client, refused, foreign, failing } = this.#connection
    if (foreign)
      return html`<div class="note" role="alert">${t('error_origin', { origin: location.origin })}</div>`
    if (failing && !client)
      return html`<div class="note" role="status">${t('error_offline')} ${t('retrying')}</div>`
    if (refused && !(client && this.roomId))
      return html`<div class="note" role="status">${t('signedOut')}</div>`
    if (this.trouble) {
      return html`<div class="note" role="alert">${this.trouble}
        <button class="plain" @click=${() => this.#anew()}>${t('tryAgain')}</button></div>`
    }
    if (!client || !this.roomId) return nothing
    return html`<chat-conversation exportparts="header, timeline, composer, connection, bubble, own, other" .client=${client}
      .roomId=${this.roomId} .subject=${this.subject}></chat-conversation>`
  }

  /** Finds out which room is meant; a task's or property's is made at the first call. */
  async #find(): Promise<void> {
    const { client, api } = this.#connection
    if (!client || !api) return
    const asked = `${client.me} ${this.room} ${this.task} ${this.property}`
    if (asked === this.#asked && (api === this.#by || this.roomId)) return
    this.#asked = asked
    this.#by = api
    this.roomId = null
    if (this.room) {
      this.roomId = this.room
      this.trouble = ''
      return
    }
    if (this.task === null && this.property === null) return
    const id = Number(this.task ?? this.property)
    const body = this.subject ? { title: this.subject } : {}
    const options = { params: { path: { id } }, body }
    try {
      const { data } = this.task
        ? await api.PUT('/api/chat/tasks/{id}/room/', options)
        : await api.PUT('/api/chat/properties/{id}/room/', options)
      if (asked !== this.#asked || api !== this.#by) return
      this.roomId = data.id
      this.trouble = ''
      this.#again.end()
    } catch (cause) {
      if (asked === this.#asked && api === this.#by) this.#failed(cause)
    }
  }

  /** Says why there is no room; what may pass is tried again. */
  #failed(cause: unknown): void {
    const error = cause instanceof ChatError ? cause : new ChatError('other', String(cause))
    const passes = error.retryable || error.status >= 500
    this.trouble = whyFailed(error.code)
    if (!passes) return
    this.trouble += ` ${t('retrying')}`
    this.#again.later(error.retry_after_ms)
  }

  #anew(): void {
    this.#asked = ''
    this.requestUpdate()
  }
}
