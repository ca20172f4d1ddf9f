/** `<chat-room>`: one room, selected by its task, its property or its id. */
import { css, html, LitElement, nothing } from 'lit'
import type { Api } from '../../client/api.ts'
import { RetryTimer } from '../../client/backoff.ts'
import { ChatError } from '../../client/errors.ts'
import type { TokenSource } from '../../client/tokens.ts'
import { ClientController, SCRIPT_ORIGIN } from '../shared/client-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { errorText, t } from '../shared/texts.ts'
import { base, theme } from '../shared/theme.ts'

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

  /** The id of a task. */
  @property() task: string | null = null
  /** The id of a property, such as a house. */
  @property({ attribute: 'property' }) property: string | null = null
  /** The id of a room. */
  @property() room: string | null = null
  /** The host page's name for the task or property. */
  @property() subject = ''
  /** The server's origin; by default the one that the script was loaded from. */
  @property() server = SCRIPT_ORIGIN
  /** An access token or, as a property, a function that returns one. */
  @property() token: TokenSource | null = null
  @state() private roomId: string | null = null
  @state() private error = ''
  #controller = new ClientController(this)
  #target = ''
  /** The API that `#target` was resolved with; another token may have another result. */
  #targetApi: Api | null = null
  #retry = new RetryTimer(() => this.#retryNow())

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    // If the element is connected again, it resolves the room again unless it has one.
    this.#retry.reset()
    if (!this.roomId) this.#target = ''
  }

  override willUpdate(): void {
    this.#controller.use(this.token, this.server)
    void this.#resolve()
  }

  override render() {
    const { client, refused, originRefused, failing } = this.#controller
    if (originRefused)
      return html`<div class="note" role="alert">${t('error_origin', { origin: location.origin })}</div>`
    if (failing && !client)
      return html`<div class="note" role="status">${t('error_offline')} ${t('retrying')}</div>`
    if (refused && !(client && this.roomId))
      return html`<div class="note" role="status">${t('signedOut')}</div>`
    if (this.error) {
      return html`<div class="note" role="alert">${this.error}
        <button class="plain" @click=${() => this.#retryNow()}>${t('tryAgain')}</button></div>`
    }
    if (!client || !this.roomId) return nothing
    return html`<chat-conversation exportparts="header, timeline, composer, connection, bubble, own, other" .client=${client}
      .roomId=${this.roomId} .subject=${this.subject}></chat-conversation>`
  }

  /** Determines the room. The room of a task or property is created by the first call. */
  async #resolve(): Promise<void> {
    const { client, api } = this.#controller
    if (!client || !api) return
    const target = `${client.me} ${this.room} ${this.task} ${this.property}`
    if (target === this.#target && (api === this.#targetApi || this.roomId)) return
    this.#target = target
    this.#targetApi = api
    this.roomId = null
    if (this.room) {
      this.roomId = this.room
      this.error = ''
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
      if (target !== this.#target || api !== this.#targetApi) return
      this.roomId = data.id
      this.error = ''
      this.#retry.reset()
    } catch (cause) {
      if (target === this.#target && api === this.#targetApi) this.#onError(cause)
    }
  }

  /** Shows why there is no room, and retries after a temporary error. */
  #onError(cause: unknown): void {
    const error = cause instanceof ChatError ? cause : new ChatError('other', String(cause))
    const temporary = error.retryable || error.status >= 500
    this.error = errorText(error)
    if (!temporary) return
    this.error += ` ${t('retrying')}`
    this.#retry.schedule(error.retry_after_ms)
  }

  #retryNow(): void {
    this.#target = ''
    this.requestUpdate()
  }
}
