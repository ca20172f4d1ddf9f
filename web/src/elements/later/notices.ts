/** Notices about reminders whose time has come, and about scheduled messages that could not be sent. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { removeReminder } from '../../client/later.ts'
import { personalOf } from '../../client/personal.ts'
import type { Reminder, ScheduledMessage } from '../../client/wire.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { codeText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { plainText } from '../text/formatter.ts'
import { RemindedMessages } from './reminded-messages.ts'

/** Number of notices that are shown at once. */
const SHOWN_MAX = 3

export class ChatNotices extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        position: absolute;
        top: calc(64px + env(safe-area-inset-top));
        inset-inline: 12px;
        z-index: 4;
        pointer-events: none;
      }
      .notice {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0 12px;
        width: fit-content;
        min-width: min(360px, 100%);
        max-width: min(560px, 100%);
        margin: 0 auto 8px;
        padding: 8px 4px 8px 16px;
        border: 1px solid var(--_line);
        border-radius: 12px;
        background: var(--_surface);
        box-shadow: var(--_shadow);
        pointer-events: auto;
        animation: appear 160ms ease-out;
      }
      .notice > svg {
        flex: none;
        color: var(--_accent);
      }
      .failed > svg {
        color: var(--_danger);
      }
      .what {
        flex: 1;
        min-width: 120px;
      }
      b {
        display: block;
        font-weight: 600;
      }
      .what span {
        display: block;
      }
      chat-scheduled {
        pointer-events: auto;
      }
      @keyframes appear {
        from {
          transform: translateY(-8px);
          opacity: 0;
        }
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  /** Shows the notices of one room only. */
  @property() roomId = ''
  /** The list of scheduled messages is shown. */
  @state() private listing = false
  /** The failed messages whose notice the user has dismissed. */
  @state() private dismissed: ReadonlySet<string> = new Set()
  #messages = new RemindedMessages(() => this.requestUpdate())

  constructor() {
    super()
    new ChangeController(this, () => [this.client && personalOf(this.client)])
  }

  override render() {
    const { fired, failed } = personalOf(this.client)
    const isHere = ({ room_id }: { readonly room_id: string }) => !this.roomId || room_id === this.roomId
    const refused = failed.filter(one => isHere(one) && !this.dismissed.has(keyOf(one)))
    const notices = [
      ...fired.filter(isHere).map(one => this.#reminder(one)),
      ...refused.map(one => this.#refusal(one)),
    ]
    return html`<div role="status" aria-label=${t('notices')}>${notices.slice(0, SHOWN_MAX)}</div>
      ${
        this.listing
          ? html`<chat-scheduled .client=${this.client} @chat-close=${(event: Event) => {
              event.stopPropagation()
              this.listing = false
            }}></chat-scheduled>`
          : nothing
      }`
  }

  #reminder(reminder: Reminder) {
    const message = this.#messages.of(this.client, reminder)
    const text = message
      ? plainText(message.content) || message.attachment_name
      : message === null
        ? t('messageGone')
        : '…'
    return html`<div class="notice">${icon('alarm')}
      <div class="what"><b>${t('reminderNotice')}</b><span class="small cut" dir="auto">${text}</span></div>
      <div>${
        message
          ? html`<button class="plain" @click=${() => {
              emit(this, 'chat-open-room', { id: reminder.room_id, seq: message.seq })
              this.#remove(reminder)
            }}>${t('openMessage')}</button>`
          : nothing
      }<button class="plain" @click=${() => this.#remove(reminder)}>${t('dismiss')}</button></div></div>`
  }

  #refusal(one: ScheduledMessage) {
    return html`<div class="notice failed">${icon('alert')}
      <div class="what"><b>${t('refusedNotice')}</b><span class="small cut" dir="auto">${codeText(one.error ?? '')} ${plainText(one.content)}</span></div>
      <div><button class="plain" @click=${() => {
        void import('../define-later.ts')
        this.listing = true
        this.#dismiss(one)
      }}>${t('showScheduled')}</button><button class="plain" @click=${() => this.#dismiss(one)}>${t('dismiss')}</button></div></div>`
  }

  #dismiss(one: ScheduledMessage): void {
    this.dismissed = new Set(this.dismissed).add(keyOf(one))
  }

  /** A notice that could not be removed stays. */
  #remove(reminder: Reminder): void {
    removeReminder(this.client, reminder).catch(() => this.requestUpdate())
  }
}

/** A message that has failed again has another notice. */
function keyOf({ id, at }: ScheduledMessage): string {
  return `${id} ${at}`
}
