/** The messages that are sent later, and those that could not be: they are changed, sent now, or withdrawn. */
import { css, html, LitElement, nothing } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Client } from '../../client/client.ts'
import { reschedule, sendNow, unschedule } from '../../client/later.ts'
import { personalOf } from '../../client/personal.ts'
import type { ScheduledMessage } from '../../client/wire.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, query, state } from '../shared/decorators.ts'
import { formatDateTime } from '../shared/format.ts'
import { icon } from '../shared/icons.ts'
import { codeText, errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { windowStyle } from '../shared/window-style.ts'

/** The server's limit of a text. */
const LENGTH_MAX = 4_000

export class ChatScheduled extends LitElement {
  static override styles = [
    base,
    windowStyle,
    css`
      li {
        padding: 8px 12px;
        border-radius: 12px;
      }
      li + li {
        border-top: 1px solid var(--_line);
      }
      b {
        display: block;
        font-weight: 600;
      }
      .text {
        display: -webkit-box;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 3;
        overflow: hidden;
        overflow-wrap: anywhere;
        white-space: pre-wrap;
      }
      .state {
        display: flex;
        align-items: center;
        gap: 4px;
      }
      .state svg {
        flex: none;
        width: 16px;
        height: 16px;
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        margin-inline: -12px;
      }
      textarea {
        height: 96px;
        margin-block: 8px;
        padding: 8px 12px;
        resize: vertical;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  /** The one that is being changed. */
  @state() private editing: string | null = null
  /** Its text as it is being changed, whatever the list does meanwhile. */
  @state() private text = ''
  @state() private error = ''
  @query('textarea') private area!: HTMLTextAreaElement | null

  constructor() {
    super()
    new ChangeController(this, () => [this.client && personalOf(this.client)])
  }

  override render() {
    const { lists, loaded, error } = personalOf(this.client)
    const shown = this.error || (error ? errorText(error) : '')
    return html`<chat-sheet .label=${t('scheduled')}><div class="frame">
      <h2>${t('scheduled')}</h2>
      ${shown ? html`<p class="danger none" role="alert">${shown}</p>` : nothing}
      ${loaded || error ? nothing : html`<p class="none small" role="status">${t('loading')}</p>`}
      ${loaded && lists.scheduled.length === 0 ? html`<p class="none small">${t('noScheduled')}</p>` : nothing}
      <ul class="scroll">${repeat(
        lists.scheduled,
        one => one.id,
        one => (one.id === this.editing ? this.#form(one) : this.#item(one)),
      )}</ul>
    </div></chat-sheet>`
  }

  #title({ room_id }: ScheduledMessage): string {
    return this.client.inbox.rooms.find(room => room.id === room_id)?.display_name ?? ''
  }

  #item(one: ScheduledMessage) {
    const { client } = this
    return html`<li><b class="cut" dir="auto">${this.#title(one)}</b>
      <div class="text" dir="auto">${one.content}</div>
      ${this.#state(one)}
      ${
        one.state === 'sending'
          ? nothing
          : html`<div class="actions">
              <button class="plain" @click=${() => this.#startEdit(one)}>${t('change')}</button>
              <button class="plain" @click=${() => this.#attempt(() => sendNow(client, one))}>${t('sendNow')}</button>
              <button class="plain danger" @click=${() => this.#attempt(() => unschedule(client, one))}>${t('withdraw')}</button>
            </div>`
      }</li>`
  }

  #state({ state, error, at }: ScheduledMessage) {
    if (state === 'failed')
      return html`<div class="state small danger">${icon('alert')}${t('notSent')} ${codeText(error ?? '')}</div>`
    const text = state === 'sending' ? t('sendingNow') : formatDateTime(at)
    return html`<div class="state small">${icon('clock')}<time datetime=${at}>${text}</time></div>`
  }

  #form(one: ScheduledMessage) {
    return html`<li><b class="cut" dir="auto">${this.#title(one)}</b>
      <textarea dir="auto" aria-label=${t('textLabel')} maxlength=${LENGTH_MAX} .value=${this.text}
        @input=${this.#onInput}></textarea>
      <chat-when own .initial=${one.state === 'failed' ? '' : one.at} .onChoose=${(at: Date) => this.#save(one, at)}></chat-when>
      <div class="actions"><button class="plain" @click=${() => {
        this.editing = null
      }}>${t('cancel')}</button></div></li>`
  }

  #onInput = (event: Event): void => {
    this.text = (event.target as HTMLTextAreaElement).value
  }

  async #startEdit({ id, content }: ScheduledMessage): Promise<void> {
    this.editing = id
    this.text = content
    await this.updateComplete
    this.area?.focus()
  }

  async #save(one: ScheduledMessage, at: Date): Promise<void> {
    const content = this.text.trim() || one.content
    if (await this.#attempt(() => reschedule(this.client, one, { content, at: at.toISOString() })))
      this.editing = null
  }

  async #attempt(action: () => Promise<void>): Promise<boolean> {
    this.error = ''
    try {
      await action()
      return true
    } catch (cause) {
      this.error = errorText(cause)
      return false
    }
  }
}
