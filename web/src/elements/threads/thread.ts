/**
 * A thread beside its room: the root, the replies, and a composer that adds to them.
 *
 * It handles the events of its messages and its composer itself, as a conversation does.
 */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import { FILES_MAX } from '../../client/outbox.ts'
import type { Room, RoomView } from '../../client/room.ts'
import { ThreadLog } from '../../client/thread.ts'
import type { Entry, Timeline } from '../../client/timeline.ts'
import type { Message, SentMentions } from '../../client/wire.ts'
import { drafts } from '../composer/drafts.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, query, state } from '../shared/decorators.ts'
import { type ChatEvent, emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import type { OverlayContent } from '../shared/overlay-content.ts'
import { isTouchDevice } from '../shared/pointer.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { rowsOf } from '../timeline/rows.ts'
import type { ChatThreadRows } from './thread-rows.ts'

/** What the thread uses of its composer. */
interface Composer extends HTMLElement {
  insert(text: string): void
  choose(types?: string): void
}

export class ChatThread extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-width: 0;
        min-height: 0;
        background: var(--_surface);
      }
      header {
        display: flex;
        align-items: center;
        flex: none;
        gap: 4px;
        min-height: 56px;
        padding: env(safe-area-inset-top) 8px 0 16px;
        border-bottom: 1px solid var(--_line);
      }
      h2 {
        flex: 1;
        font-weight: 600;
      }
      .none {
        flex: 1;
        padding: 24px;
        text-align: center;
      }
      .error {
        flex: none;
        padding: 4px 16px;
        font-size: 13px;
      }
      label {
        display: flex;
        align-items: center;
        flex: none;
        gap: 8px;
        min-height: 44px;
        padding: 0 20px;
        border-top: 1px solid var(--_line);
        font-size: 13px;
        color: var(--_text-2);
      }
      input {
        flex: none;
        width: 18px;
        height: 18px;
        min-height: 0;
        margin: 0;
        accent-color: var(--_accent);
      }
      chat-composer {
        padding-top: 0;
        border-top: 0;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) view!: RoomView
  @property() rootId = ''
  @state() private editing: Message | null = null
  @state() private overlay: OverlayContent | null = null
  @state() private alsoInRoom = false
  @state() private error = ''
  @query('chat-composer') private composer!: Composer | null
  @query('chat-thread-rows') private list!: ChatThreadRows | null
  #log: ThreadLog | null = null
  /** The messages as they are shown here, by the messages of the log. */
  #shown = new WeakMap<Message, Message>()

  constructor() {
    super()
    new ChangeController(this, () => [this.client, this.room, this.#log, drafts])
    for (const type of ['chat-reply', 'chat-edit', 'chat-retry', 'chat-discard', 'chat-file'] as const)
      this.addEventListener(type, event => this.#onMessageEvent(event as ChatEvent<typeof type>))
  }

  override connectedCallback(): void {
    super.connectedCallback()
    document.addEventListener('visibilitychange', this.#markRead)
    if (this.hasUpdated) this.#open()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    document.removeEventListener('visibilitychange', this.#markRead)
    this.#log?.close()
    this.#log = null
  }

  override firstUpdated(): void {
    if (!isTouchDevice()) void this.composer?.focus()
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('rootId') || changed.has('room')) this.#open()
  }

  override updated(): void {
    this.#markRead()
  }

  override render() {
    const timeline = this.#timeline()
    return html`<header><h2>${t('thread')}</h2>
        <button class="icon" aria-label=${t('close')} @click=${() => emit(this, 'chat-close', null)}>${icon('close')}</button>
      </header>
      ${timeline ? this.#rows(timeline) : this.#placeholder()}
      ${this.error ? html`<p class="error danger" role="alert">${this.error}</p>` : nothing}
      ${this.view.gone || timeline?.room.archived_at ? nothing : this.#composer()}
      ${timeline && this.overlay ? this.#overlay(this.overlay, timeline) : nothing}`
  }

  #rows(timeline: Timeline) {
    const { client, view } = this
    const rows = rowsOf(timeline, this.#log!.pending, view.marks, client.me ?? 0, null)
    return html`<chat-thread-rows .client=${client} .timeline=${timeline} .rows=${rows} .rootId=${this.rootId}
      .hasOlder=${this.#log!.hasOlder} .onOlder=${() => this.#attempt(() => this.#log!.loadOlder())}
      @chat-overlay=${this.#onOverlay} @chat-jump=${this.#onJump}></chat-thread-rows>`
  }

  #placeholder() {
    const error = this.#log?.error
    return html`<p class="none small" role="status">${error ? `${errorText(error)} ${error.retryable ? t('retrying') : ''}` : t('loading')}</p>`
  }

  /** What the room says of writing applies to its threads as well. */
  #composer() {
    const view = { ...this.view, pending: this.#log?.pending ?? [] }
    return html`<chat-post-area thread .client=${this.client} .room=${this.room} .view=${view} .editing=${this.editing}>
      <label><input type="checkbox" .checked=${this.alsoInRoom} @change=${(event: Event) => {
        this.alsoInRoom = (event.target as HTMLInputElement).checked
      }} />${t('alsoInRoom')}</label>
      <chat-composer .draftKey=${this.#draftKey} .replyTo=${drafts.reply(this.#draftKey)} .editing=${this.editing}
        @chat-send=${this.#onSend} @chat-edit-last=${this.#onEditLast} @chat-cancel=${this.#onCancel}
        @chat-overlay=${this.#onOverlay} @chat-typing=${(event: Event) => event.stopPropagation()}></chat-composer></chat-post-area>`
  }

  #overlay(content: OverlayContent, timeline: Timeline) {
    return html`<chat-overlay .client=${this.client} .view=${{ ...this.view, timeline, pending: this.#log!.pending }}
      .content=${content} .extras=${this.#extras} .attempt=${this.#attempt} @chat-close=${this.#onOverlayClosed}
      @chat-overlay=${this.#onOverlay} @chat-select=${this.#onSelect}></chat-overlay>`
  }

  /** The thread as it is shown: nothing in it leads to a thread. */
  #timeline(): Timeline | null {
    const timeline = this.#log?.shown
    if (!timeline) return null
    return { ...timeline, entries: timeline.entries.map(entry => this.#shownEntry(entry)) }
  }

  #shownEntry(entry: Entry): Entry {
    if (entry.kind !== 'message') return entry
    let message = this.#shown.get(entry.message)
    if (!message) {
      const { thread, ...rest } = entry.message
      message = rest
      this.#shown.set(entry.message, message)
    }
    return { ...entry, message }
  }

  /** Unlike a room's draft, a thread's stays on the device: its key begins with no user. */
  get #draftKey(): string {
    return `thread ${this.client.me} ${this.rootId}`
  }

  get #extras() {
    return { thread_root: this.rootId, in_timeline: this.alsoInRoom }
  }

  #open(): void {
    this.#log?.close()
    this.#log = new ThreadLog(this.client, this.room, this.rootId)
    this.editing = null
    this.overlay = null
    this.error = ''
    this.alsoInRoom = false
  }

  /**
   * Marks what is shown as read. The user has one read mark in a room, so replies wait until the messages
   * before them have been read.
   */
  #markRead = (): void => {
    const row = this.client.inbox.rooms.find(one => one.id === this.room.id)
    if (document.visibilityState !== 'visible' || (row?.unread_count ?? 0) > 0) return
    const isTheirs = (entry: Entry) =>
      entry.kind === 'message' && entry.message.sender.id !== this.client.me && !entry.message.is_deleted
    const last = this.#log?.timeline?.entries.findLast(isTheirs)
    if (last?.kind === 'message' && last.message.id !== this.rootId) this.room.markRead(last.message)
  }

  #onSend = (event: ChatEvent<'chat-send'>): void => {
    event.stopPropagation()
    const { text, files, mentions } = event.detail
    const { editing } = this
    const replyTo = drafts.reply(this.#draftKey)
    this.#onCancel(event)
    if (editing) void this.#saveEdit(editing, text, mentions)
    else
      void this.#attempt(async () => {
        this.#send(text, replyTo, files.splice(0, FILES_MAX), mentions)
        while (files.length) this.#send('', null, files.splice(0, FILES_MAX))
        emit(this, 'message-sent', { room: this.room.id, text })
      })
    this.list?.showEnd()
  }

  #send(content: string, replyTo: Message | null, [file, ...more]: File[], mentions?: SentMentions): void {
    const { room, client } = this
    const reply_to = replyTo && {
      id: replyTo.id,
      sender: replyTo.sender,
      content: replyTo.content,
      created_at: replyTo.created_at,
    }
    const client_id = crypto.randomUUID()
    const extras = this.#extras
    client.outbox.add({
      client_id,
      room_id: room.id,
      content,
      reply_to,
      file: file ?? null,
      more,
      at_ms: Date.now(),
      extras,
      mentions,
    })
  }

  /** Saves an edit. If that fails, the text returns to the composer. */
  async #saveEdit(message: Message, text: string, mentions?: SentMentions): Promise<void> {
    if (!text || (text === message.content && message.rev > 0)) return
    if (!(await this.#attempt(() => this.room.edit(message, text, mentions))))
      this.editing = { ...message, content: text, rev: 0 }
  }

  /** Ends an edit, after which the draft is there again with its reply, or takes that from the draft. */
  #onCancel = (event: Event): void => {
    event.stopPropagation()
    if (this.editing) this.editing = null
    else drafts.setReply(this.#draftKey, null)
    this.composer?.focus()
  }

  #onEditLast = (event: Event): void => {
    event.stopPropagation()
    const { me } = this.client
    const isOwn = (entry: Entry) =>
      entry.kind === 'message' &&
      entry.message.sender.id === me &&
      !entry.message.is_deleted &&
      !entry.message.card
    const last = this.#log?.timeline?.entries.findLast(isOwn)
    if (last?.kind === 'message') this.editing = last.message
  }

  #onMessageEvent(
    event: ChatEvent<'chat-reply' | 'chat-edit' | 'chat-retry' | 'chat-discard' | 'chat-file'>,
  ): void {
    event.stopPropagation()
    const { type, detail } = event
    if (type === 'chat-retry') this.client.outbox.retry(detail.client_id!)
    else if (type === 'chat-discard') this.client.outbox.discard(detail.client_id!)
    else if (type === 'chat-file') this.#openFile(detail as Message)
    else {
      this.overlay = null
      this.editing = type === 'chat-edit' ? (detail as Message) : null
      if (type === 'chat-reply') drafts.setReply(this.#draftKey, detail as Message)
    }
  }

  #onJump = (event: ChatEvent<'chat-jump'>): void => {
    event.stopPropagation()
    this.list?.show(event.detail.id)
  }

  #openFile(message: Message): void {
    if (message.message_type === 'image') this.overlay = { kind: 'image', message }
    else
      void this.#attempt(async () =>
        (await import('../conversation/download.ts')).download(this.client, message),
      )
  }

  #onOverlay = (event: ChatEvent<'chat-overlay'>): void => {
    event.stopPropagation()
    // Replies in threads are not sent later.
    if (event.detail.kind !== 'later') this.overlay = event.detail
  }

  #onOverlayClosed = (event: Event): void => {
    event.stopPropagation()
    this.overlay = null
  }

  /** Passes the selected emoji, or kind of file, to the composer. */
  #onSelect = (event: ChatEvent<'chat-select'>): void => {
    event.stopPropagation()
    const { overlay } = this
    this.overlay = null
    if (overlay?.kind === 'emoji') this.composer?.insert(event.detail.value)
    else this.composer?.choose(event.detail.value)
  }

  #attempt = async (action: () => Promise<unknown>): Promise<boolean> => {
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
