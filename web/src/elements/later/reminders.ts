/** The user's reminders: those that wait, and those whose time has come. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { removeReminder } from '../../client/later.ts'
import { personalOf } from '../../client/personal.ts'
import type { Reminder } from '../../client/wire.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { formatDateTime } from '../shared/format.ts'
import { icon } from '../shared/icons.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { windowStyle } from '../shared/window-style.ts'
import { plainText } from '../text/formatter.ts'
import { RemindedMessages } from './reminded-messages.ts'

export class ChatReminders extends LitElement {
  static override styles = [
    base,
    windowStyle,
    css`
      li {
        display: flex;
        align-items: center;
      }
      .item {
        display: grid;
        flex: 1;
        min-width: 0;
        min-height: 44px;
        padding: 8px 12px;
        border-radius: 12px;
      }
      .item:enabled:hover {
        background: var(--_hover);
      }
      .item:disabled {
        opacity: 1;
      }
      b {
        font-weight: 600;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @state() private error = ''
  #messages = new RemindedMessages(() => this.requestUpdate())

  constructor() {
    super()
    new ChangeController(this, () => [this.client && personalOf(this.client)])
  }

  override render() {
    const { lists, loaded, error } = personalOf(this.client)
    const shown = this.error || (error ? errorText(error) : '')
    return html`<chat-sheet .label=${t('reminders')}><div class="frame">
      <h2>${t('reminders')}</h2>
      ${shown ? html`<p class="danger none" role="alert">${shown}</p>` : nothing}
      ${loaded || error ? nothing : html`<p class="none small" role="status">${t('loading')}</p>`}
      ${loaded && lists.reminders.length === 0 ? html`<p class="none small">${t('noReminders')}</p>` : nothing}
      <ul class="scroll">${lists.reminders.map(one => this.#item(one))}</ul>
    </div></chat-sheet>`
  }

  #item(reminder: Reminder) {
    const { id, room_id, at, fired_at } = reminder
    const message = this.#messages.of(this.client, reminder)
    const title = this.client.inbox.rooms.find(one => one.id === room_id)?.display_name ?? ''
    const text = message
      ? plainText(message.content) || message.attachment_name
      : message === null
        ? t('messageGone')
        : '…'
    return html`<li data-id=${id}><button class="item" ?disabled=${!message}
        @click=${() => message && emit(this, 'chat-open-room', { id: room_id, seq: message.seq })}>
        <b class="cut" dir="auto">${message ? nameOf(message.sender) : ''}${title ? ` · ${title}` : ''}</b>
        <span class="cut" dir="auto">${text}</span>
        <span class="small ${fired_at ? 'danger' : ''}">${fired_at ? `${t('reminderDue')}: ` : ''}<time datetime=${at}>${formatDateTime(at)}</time></span></button>
      <button class="icon" aria-label=${t('removeReminder')} title=${t('removeReminder')}
        @click=${() => this.#remove(reminder)}>${icon('close')}</button></li>`
  }

  async #remove(reminder: Reminder): Promise<void> {
    this.error = ''
    try {
      await removeReminder(this.client, reminder)
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
