/**
 * The menu of a message: reactions, its actions, and who has read it.
 *
 * It shows the message as it is now. A message that is still being sent has the same menu, in which whatever
 * the server has to know about is disabled until the server has stored the message.
 */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import { isPersonal } from '../../client/inbox.ts'
import { remind } from '../../client/later.ts'
import type { RoomView } from '../../client/room.ts'
import type { Capability } from '../../client/room-access.ts'
import { savedOf } from '../../client/saved.ts'
import type { Message } from '../../client/wire.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { currentMessage } from '../shared/current-message.ts'
import { property, query, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { menuItem, menuKeys, menuStyle } from '../shared/menu.ts'
import { may } from '../shared/permissions.ts'
import type { AnchorPoint, ChatSheet } from '../shared/sheet.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { permalinkOf } from '../text/permalink.ts'
import type { Attempt } from './overlay.ts'

/** Maximum length of the reason for removing what someone else has written. */
const REASON_MAX = 500

export class ChatActions extends LitElement {
  static override styles = [
    base,
    menuStyle,
    css`
      p {
        max-width: 360px;
        padding: 8px 12px;
      }
      label {
        display: grid;
        gap: 4px;
        padding: 0 12px 8px;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) view!: RoomView
  /** The message as it was when the menu was opened. */
  @property({ attribute: false }) message!: Message
  @property({ attribute: false }) attempt!: Attempt
  @property({ attribute: false }) anchor: AnchorPoint | null = null
  /** Deleting cannot be undone and has to be confirmed. */
  @state() private confirming = false
  /** The times are shown at which the user can be reminded. */
  @state() private reminding = false
  @query('chat-sheet') private sheet!: ChatSheet
  @query('#reason') private reason!: HTMLInputElement | null

  constructor() {
    super()
    new ChangeController(this, () => [
      this.client && isPersonal(this.client.inbox) ? savedOf(this.client) : null,
    ])
  }

  override render() {
    return html`<chat-sheet .anchor=${this.anchor} .label=${t('actions')}>
      ${this.confirming ? this.#confirmation() : this.reminding ? this.#times() : this.#actions()}
    </chat-sheet>`
  }

  override firstUpdated(): void {
    void this.#focusMenu()
  }

  override updated(changed: PropertyValues<this>): void {
    if (this.#current.is_deleted) emit(this.sheet, 'chat-close', null)
    else if (this.confirming && changed.has('confirming' as keyof ChatActions)) void this.#focusMenu()
  }

  get #current(): Message {
    return currentMessage(this.view, this.message)
  }

  #actions() {
    const message = this.#current
    const mine = message.sender.id === this.client.me
    const readers = mine ? this.#readers(message) : ''
    const unsent = message.rev === 0
    const archived = Boolean(this.view.timeline?.room.archived_at)
    return html`${
      archived
        ? nothing
        : html`<chat-quick-reactions .client=${this.client} .message=${message} ?disabled=${unsent}
></chat-quick-reactions>`
    }
      <div class="menu" role="menu" aria-label=${t('actions')} @keydown=${menuKeys}>
        ${menuItem('reply', 'reply', () => emit(this.sheet, 'chat-reply', message), false, unsent)}
        ${unsent || archived || message.thread === undefined ? nothing : menuItem('replyInThread', 'thread', () => this.#openThread(message))}
        ${message.content ? menuItem('copy', 'copy', () => this.#copy(message.content)) : nothing}
        ${unsent ? nothing : menuItem('copyLink', 'link', () => this.#copy(this.#link(message)))}
        ${unsent ? nothing : menuItem('forward', 'forward', () => this.#open('forward', message))}
        ${unsent ? nothing : this.#pin(message)}
        ${unsent || !isPersonal(this.client.inbox) ? nothing : this.#personal(message, mine)}
        ${mine && !message.card && !message.forwarded ? menuItem('edit', 'edit', () => emit(this.sheet, 'chat-edit', message), false, unsent) : nothing}
        ${message.is_edited && this.#showsVersions ? menuItem('versions', 'history', () => this.#open('versions', message)) : nothing}
        ${message.reactions?.length ? menuItem('whoReacted', 'smile', () => this.#open('reactions', message)) : nothing}
        ${
          unsent
            ? menuItem('discard', 'trash', () => this.#discard(message), true, !this.#isDiscardable(message))
            : mine || this.#may('moderate')
              ? menuItem('remove', 'trash', () => (this.confirming = true), true)
              : nothing
        }
      </div>
      ${readers ? html`<p class="small">${t('readBy', { names: readers })}</p>` : nothing}`
  }

  /** What the user does with the message for themself. */
  #personal(message: Message, mine: boolean) {
    const { id, room_id } = message
    const { api } = this.client
    const save = () => api.PUT('/api/chat/messages/{id}/saved/', { params: { path: { id } } })
    const unsave = () => api.DELETE('/api/chat/messages/{id}/saved/', { params: { path: { id } } })
    const options = { params: { path: { id: room_id } }, body: { message_id: id } }
    const markUnread = () => api.POST('/api/chat/rooms/{id}/mark_unread/', options)
    return html`${
      savedOf(this.client).has(id)
        ? menuItem('unsave', 'bookmark', () => this.#run(unsave))
        : menuItem('keep', 'bookmark', () => this.#run(save))
    }
      ${menuItem('remind', 'alarm', () => (this.reminding = true))}
      ${
        mine
          ? nothing
          : html`${menuItem('markUnread', 'dot', () => this.#run(markUnread))}
              ${menuItem('whyTitle', 'help', () => this.#open('why', message))}`
      }`
  }

  /** The times at which the user is reminded of the message, and the list of all reminders. */
  #times() {
    void import('../define-later.ts')
    const { client } = this
    const choose = (at: Date) => this.#run(() => remind(client, this.#current, at))
    return html`<chat-when .label=${t('remind')} .onChoose=${choose}></chat-when>
      <div class="menu" role="menu" aria-label=${t('reminders')}>${menuItem('reminders', 'alarm', () => emit(this.sheet, 'chat-overlay', { kind: 'reminders' }))}</div>`
  }

  #openThread({ id, thread }: Message): void {
    emit(this.sheet, 'chat-aside', { thread: thread?.root_id ?? id })
  }

  #pin({ id, pinned_at }: Message) {
    if (!this.#may('pin')) return nothing
    const { api } = this.client
    const options = { params: { path: { id } } }
    return pinned_at
      ? menuItem('unpin', 'pin', () => this.#run(() => api.DELETE('/api/chat/messages/{id}/pin/', options)))
      : menuItem('pin', 'pin', () => this.#run(() => api.PUT('/api/chat/messages/{id}/pin/', options)))
  }

  #may(what: Capability): boolean {
    return may(this.client.room(this.message.room_id), this.client, what)
  }

  /** Whether the room shows earlier texts; older servers do not say so, and have none. */
  get #showsVersions(): boolean {
    return Boolean(this.view.timeline?.room.edit_history)
  }

  #run(action: () => Promise<unknown>): void {
    void this.attempt(action)
    emit(this.sheet, 'chat-close', null)
  }

  #confirmation() {
    return html`<p>${t('removeSure')}</p>
      ${
        this.#current.sender.id === this.client.me
          ? nothing
          : html`<label class="small">${t('reason')}<input id="reason" maxlength=${REASON_MAX} autocomplete="off" /></label>`
      }
      <div class="menu" role="menu" aria-label=${t('removeSure')} @keydown=${menuKeys}>
        ${menuItem('remove', 'trash', () => this.#remove(this.#current), true)}
        ${menuItem('cancel', 'close', () => emit(this.sheet, 'chat-close', null))}
      </div>`
  }

  /** Focuses the first item that can be selected, once the sheet is open. */
  async #focusMenu(): Promise<void> {
    await this.sheet.updateComplete
    this.renderRoot.querySelector<HTMLElement>('[role=menuitem]:enabled')?.focus()
  }

  /** Returns the address of the message, which opens it in the page. */
  #link({ room_id, seq }: Message): string {
    return permalinkOf(this.client.server, room_id, seq)
  }

  #copy(text: string): void {
    this.#run(async () => navigator.clipboard.writeText(text))
  }

  #remove(message: Message): void {
    const reason = this.reason?.value.trim()
    const options = { params: { path: { id: message.id } }, body: reason ? { reason } : {} }
    this.#run(() => this.client.api.DELETE('/api/chat/messages/{id}/', options))
  }

  #open(kind: 'reactions' | 'forward' | 'versions' | 'why', message: Message): void {
    emit(this.sheet, 'chat-overlay', { kind, message })
  }

  /** Whether an unsent message can still be withheld: a text that is under way may arrive anyway. */
  #isDiscardable({ client_id }: Message): boolean {
    const entry = this.view.pending.find(one => one.client_id === client_id)
    if (entry?.state === 'sending') return entry.file !== null
    return entry !== undefined && entry.state !== 'stored'
  }

  #discard({ client_id }: Message): void {
    this.client.outbox.discard(client_id!)
    emit(this.sheet, 'chat-close', null)
  }

  /** Returns the names of the users who have read the message. */
  #readers({ seq, sender }: Message): string {
    const { timeline, marks } = this.view
    return [...(timeline?.people.values() ?? [])]
      .filter(({ user }) => user.id !== sender.id && (marks.get(user.id) ?? 0) >= seq)
      .map(({ user }) => nameOf(user))
      .join(', ')
  }
}
