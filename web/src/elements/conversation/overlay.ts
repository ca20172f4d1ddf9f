/**
 * The surface over a conversation: what belongs to a message, such as its menu, the attachment menu, the emoji picker,
 * the form for a card, or what comes later.
 */
import { html, LitElement } from 'lit'
import type { Client } from '../../client/client.ts'
import { react } from '../../client/reactions.ts'
import type { RoomView } from '../../client/room.ts'
import type { Message, OutgoingExtras } from '../../client/wire.ts'
import { property } from '../shared/decorators.ts'
import { type ChatEvent, emit } from '../shared/events.ts'
import type { OverlayContent } from '../shared/overlay-content.ts'
import { may } from '../shared/permissions.ts'

/** Runs an action and shows an error message if it fails. Resolves to whether it succeeded. */
export type Attempt = (action: () => Promise<unknown>) => Promise<boolean>

export class ChatOverlay extends LitElement {
  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) view!: RoomView
  @property({ attribute: false }) content!: OverlayContent
  @property({ attribute: false }) attempt!: Attempt
  /** Further fields of what is sent from here: in a thread, which one. */
  @property({ attribute: false }) extras: OutgoingExtras = {}

  override render() {
    const { content, client, view } = this
    switch (content.kind) {
      case 'actions':
        return html`<chat-actions .message=${content.message} .view=${view} .client=${client} .attempt=${this.attempt}
          .anchor=${content}></chat-actions>`
      case 'image':
        return html`<chat-viewer .client=${client} .message=${content.message} .view=${view}></chat-viewer>`
      case 'versions':
        return html`<chat-versions .client=${client} .message=${content.message}></chat-versions>`
      case 'why':
        void import('../define-notification-settings.ts')
        return html`<chat-why .client=${client} .message=${content.message}></chat-why>`
      case 'forward':
        return html`<chat-forward .client=${client} .message=${content.message}></chat-forward>`
      case 'reactions':
        return html`<chat-reactors .client=${client} .message=${content.message} .view=${view}></chat-reactors>`
      case 'emoji': {
        const { message, button } = content
        return html`<chat-attach kind="emoji" .button=${button}
          @chat-select=${message && ((event: ChatEvent<'chat-select'>) => this.#react(event, message))}></chat-attach>`
      }
      case 'card':
        void import('../define-new-card.ts')
        return html`<chat-new-card .kind=${content.card} .client=${client} .roomId=${view.timeline?.roomId ?? ''}
          .extras=${this.extras}></chat-new-card>`
      case 'attach':
        return html`<chat-attach .button=${content.button} ?thread=${Boolean(this.extras.thread_root)}
          ?urgent=${this.#mayMarkUrgent}></chat-attach>`
      case 'urgent':
        void import('../define-urgent.ts')
        return html`<chat-send-urgent .client=${client} .view=${view} .button=${content.button}></chat-send-urgent>`
      default:
        return this.#later(content)
    }
  }

  #later(content: Extract<OverlayContent, { kind: 'later' | 'scheduled' | 'reminders' }>) {
    const { client, view } = this
    void import('../define-later.ts')
    if (content.kind === 'scheduled') return html`<chat-scheduled .client=${client}></chat-scheduled>`
    if (content.kind === 'reminders') return html`<chat-reminders .client=${client}></chat-reminders>`
    return html`<chat-later .client=${client} .roomId=${view.timeline?.roomId ?? ''} .button=${content.button}></chat-later>`
  }

  get #mayMarkUrgent(): boolean {
    const { timeline } = this.view
    return Boolean(timeline) && may(this.client.room(timeline!.roomId), this.client, 'urgent')
  }

  #react(event: ChatEvent<'chat-select'>, message: Message): void {
    event.stopPropagation()
    react(this.client, message, event.detail.value, true)
    emit(this, 'chat-close', null)
  }
}
