/**
 * One room: header, timeline and composer, with the overlay and the sidebar that they open.
 *
 * It translates the events of its parts into calls of the room. Overlay and sidebar are loaded on demand.
 */
import { html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import type { ChatError } from '../../client/errors.ts'
import { FILES_MAX } from '../../client/outbox.ts'
import type { Room } from '../../client/room.ts'
import type { Message, SentMentions } from '../../client/wire.ts'
import type { ChatComposer } from '../composer/composer.ts'
import { drafts } from '../composer/drafts.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { connectionBarStyle, connectionStatus } from '../shared/connection-status.ts'
import { property, query, state } from '../shared/decorators.ts'
import { type ChatEvent, emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import type { OverlayContent, SidebarContent } from '../shared/overlay-content.ts'
import { avatarKey, roomName, subjectKind } from '../shared/room-name.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { hasThread } from '../timeline/rows.ts'
import type { ChatTimeline } from '../timeline/timeline.ts'
import { conversationStyle } from './conversation-style.ts'

/** How long an error message is shown. */
const TOAST_MS = 4_000

export class ChatConversation extends LitElement {
  static override styles = [base, connectionBarStyle, conversationStyle]

  @property({ attribute: false }) client!: Client
  @property() roomId = ''
  /** The host page's name for the room's task or property. */
  @property() subject = ''
  /** Shows a button that leads back to the list. */
  @property({ type: Boolean }) back = false
  @state() private sidebar: SidebarContent | null = null
  @state() private editing: Message | null = null
  @state() private overlay: OverlayContent | null = null
  @state() private toast = ''
  @query('chat-timeline') private timeline!: ChatTimeline | null
  @query('chat-composer') private composer!: ChatComposer | null
  #room: Room | null = null
  #tickScheduled = false
  #timers = new Set<ReturnType<typeof setTimeout>>()
  /** The refusal that has been shown. */
  #refusal: ChatError | null = null

  constructor() {
    super()
    new ChangeController(this, () => [this.client, this.#room, drafts])
    this.addEventListener('keydown', this.#onKeydown)
    this.addEventListener('chat-open-room', event => this.#onOpenRoom(event as ChatEvent<'chat-open-room'>))
    this.addEventListener('chat-aside', event => this.openSidebar((event as ChatEvent<'chat-aside'>).detail))
    void this.#loadRoomParts()
  }

  override connectedCallback(): void {
    super.connectedCallback()
    if (this.#room === null && this.hasUpdated) this.#enterRoom()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#room?.close()
    this.#room = null
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#tickScheduled = false
  }

  /** Focuses the composer. */
  override focus(): void {
    this.composer?.focus()
  }

  /** Shows a thread, or another content, beside the timeline. */
  openSidebar(content: SidebarContent): void {
    this.overlay = null
    this.#setSidebar(content)
    void loadLazy()
  }

  /** Closes the sidebar without emitting an event. */
  closeSidebar(): void {
    this.sidebar = null
  }

  /** Scrolls to the message at `seq` and highlights it. */
  async show(seq: number): Promise<void> {
    await this.updateComplete
    await this.#attempt(async () => this.timeline?.show(seq))
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('roomId') || changed.has('client')) this.#enterRoom()
    if (this.client.downSince_ms !== null) this.#tick()
    const { refusal } = this.#room?.view ?? {}
    if (refusal && refusal !== this.#refusal) {
      this.#refusal = refusal
      this.#showError(refusal)
    }
  }

  override render() {
    const room = this.#room
    if (!room) return nothing
    const { view } = room
    if (view.gone && !view.timeline) return this.#notFound()
    return html`
      <div class="main" @chat-overlay=${this.#onOverlay} @chat-jump=${this.#onJump}>
        ${this.#header(room)} ${this.#connectionBar()}
        <chat-pins .client=${this.client} .room=${room} .view=${view}></chat-pins>
        <chat-timeline exportparts="bubble, own, other" .client=${this.client} .room=${room} .view=${view} part="timeline"
          @chat-reply=${this.#onReply} @chat-file=${this.#onFile}
          @chat-retry=${(event: ChatEvent<'chat-retry'>) => this.client.outbox.retry(event.detail.client_id)}
          @chat-discard=${(event: ChatEvent<'chat-discard'>) => this.client.outbox.discard(event.detail.client_id)}
        ></chat-timeline>
        ${this.#bottom(room)}
        ${this.toast ? html`<div class="toast" role="alert">${this.toast}</div>` : nothing}
      </div>
      ${this.#sidebarElement(room)} ${this.#overlayElement(room)}
    `
  }

  /** The room does not exist or is not visible to the user; the server does not distinguish these cases. */
  #notFound() {
    return html`<div class="main"><header part="header">${this.#backButton()}</header>
      <div class="nothing" role="alert"><b>${t('noRoom')}</b><p class="small">${t('noRoomHint')}</p></div></div>`
  }

  #backButton() {
    return this.back
      ? html`<button class="icon" aria-label=${t('back')} @click=${() => emit(this, 'chat-back', null)}>${icon('back')}</button>`
      : nothing
  }

  #header(room: Room) {
    const { view } = room
    const name = this.subject || roomName(room, this.client)
    const kind = subjectKind(view.timeline?.room.room_type)
    return html`<header part="header">
      ${this.#backButton()}
      <button class="who" @click=${() => this.#toggleSidebar('panel')}>
        <chat-avatar .name=${name} .key=${avatarKey(room, this.client)} .kind=${kind}></chat-avatar>
        <div><h2 class="cut" dir="auto">${name}</h2><chat-presence class="small" .me=${this.client.me} .view=${view}></chat-presence></div><span class="unseen">${t('details')}</span>
      </button>
      ${room.log.timeline?.entries.some(one => one.kind === 'message' && hasThread(one.message)) ? this.#threadsButton() : nothing}
      <button class="icon" aria-label=${t('searchRoom')} @click=${() => this.#toggleSidebar('search')}>${icon('search')}</button>
    </header>`
  }

  #threadsButton() {
    void import('../define-parts.ts')
    return html`<chat-threads-button .client=${this.client} .roomId=${this.roomId}></chat-threads-button>`
  }

  #connectionBar() {
    const text = connectionStatus(this.client)
    return text ? html`<div class="bar" role="status" part="connection">${text}</div>` : nothing
  }

  #bottom(room: Room) {
    const { timeline, gone } = room.view
    if (gone) return html`<div class="closed" role="status">${t('goneRoom')}</div>`
    if (timeline?.room.archived_at) {
      return html`<div class="closed" role="status">${t('archivedRoom')}
        ${
          room.self?.is_admin
            ? html`<button class="plain" @click=${() => this.#attempt(() => this.#unarchive(room))}>${t('unarchive')}</button>`
            : nothing
        }</div>`
    }
    return html`<chat-post-area .client=${this.client} .room=${room} .view=${room.view} .editing=${this.editing}>
      <chat-composer part="composer" .draftKey=${this.#draftKey} .replyTo=${this.replyTo} .editing=${this.editing}
        @chat-send=${this.#onSend} @chat-edit-last=${this.#onEditLast} @chat-cancel=${this.#onCancel}
        @chat-typing=${this.#onTyping}></chat-composer></chat-post-area>`
  }

  #sidebarElement(room: Room) {
    return this.sidebar
      ? html`<chat-sidebar .client=${this.client} .room=${room} .view=${room.view} .content=${this.sidebar}
          @chat-close=${() => this.#toggleSidebar(null)} @chat-file=${this.#onFile}></chat-sidebar>`
      : nothing
  }

  #overlayElement(room: Room) {
    return this.overlay
      ? html`<chat-overlay .client=${this.client} .view=${room.view} .content=${this.overlay} .attempt=${this.#attempt}
          @chat-close=${this.#closeOverlay} @chat-overlay=${this.#onOverlay} @chat-select=${this.#onSelect}
          @chat-reply=${this.#onReply} @chat-edit=${this.#onEdit}></chat-overlay>`
      : nothing
  }

  /** Loads what a room has around its messages and the composer. */
  async #loadRoomParts(): Promise<void> {
    const { DropTarget } = await import('../define-room.ts')
    new DropTarget(this, files => this.composer?.attach(files))
  }

  #enterRoom(): void {
    this.#room?.close()
    this.#room = this.roomId ? this.client.room(this.roomId) : null
    this.#room?.open()
    if (this.#room) void this.#followUser(this.#room)
    this.editing = null
    this.overlay = null
    if (this.sidebar !== 'panel') this.#setSidebar(null)
  }

  async #followUser(room: Room): Promise<void> {
    void (await import('./follow.ts')).followUser(this, this.client, room.id)
  }

  #setSidebar(sidebar: SidebarContent | null): void {
    const before = this.sidebar
    this.sidebar = sidebar
    if (Boolean(before) !== Boolean(sidebar)) emit(this, 'chat-sidebar', { open: Boolean(sidebar) })
  }

  /** The message that the draft replies to. */
  private get replyTo(): Message | null {
    return drafts.reply(this.#draftKey)
  }

  private set replyTo(message: Message | null) {
    drafts.setReply(this.#draftKey, message)
  }

  /** The key of this room's draft. */
  get #draftKey(): string {
    return `${this.client.me} ${this.roomId}`
  }

  #toggleSidebar(sidebar: SidebarContent | null): void {
    this.#setSidebar(this.sidebar === sidebar ? null : sidebar)
    if (this.sidebar) void loadLazy()
    else this.composer?.focus()
  }

  #closeOverlay = (): void => {
    this.overlay = null
  }

  #onOverlay = (event: ChatEvent<'chat-overlay'>): void => {
    event.stopPropagation()
    this.#openOverlay(event.detail)
  }

  #openOverlay(overlay: OverlayContent): void {
    this.overlay = overlay
    void loadLazy()
  }

  #onSend = (event: ChatEvent<'chat-send'>): void => {
    const room = this.#room!
    const { text, files, mentions } = event.detail
    const { editing, replyTo } = this
    if (editing) {
      this.editing = null
      void this.#saveEdit(room, editing, text, mentions)
      return
    }
    this.replyTo = null
    void this.#attempt(async () => {
      room.send(text, replyTo, files.splice(0, FILES_MAX), mentions)
      while (files.length) room.send('', null, files.splice(0, FILES_MAX))
    })
    void this.timeline?.showEnd()
    emit(this, 'message-sent', { room: room.id, text })
  }

  /** Saves an edit. If that fails, the text returns to the composer. */
  async #saveEdit(room: Room, message: Message, text: string, mentions?: SentMentions): Promise<void> {
    if (!text || (text === message.content && message.rev > 0)) return
    if (await this.#attempt(() => room.edit(message, text, mentions))) return
    if (this.#room === room) this.editing = { ...message, content: text, rev: 0 }
  }

  #onTyping = (event: ChatEvent<'chat-typing'>): void => {
    this.#room?.setTyping(event.detail.typing)
  }

  #onFile = (event: ChatEvent<'chat-file'>): void => {
    const message = event.detail
    if (message.message_type === 'image') this.#openOverlay({ kind: 'image', message })
    else void this.#attempt(async () => (await import('./download.ts')).download(this.client, message))
  }

  /** Passes the selected emoji, or kind of file, to the composer. */
  #onSelect = (event: ChatEvent<'chat-select'>): void => {
    const { overlay } = this
    const { value } = event.detail
    this.overlay = null
    if (overlay?.kind === 'emoji') this.composer?.insert(value)
    else this.composer?.choose(value)
  }

  #onReply = (event: ChatEvent<'chat-reply'>): void => {
    this.overlay = null
    this.editing = null
    this.replyTo = event.detail
  }

  #onEdit = (event: ChatEvent<'chat-edit'>): void => {
    this.overlay = null
    this.editing = event.detail
  }

  #onEditLast = (): void => {
    const messages = this.#room?.view.timeline?.entries.flatMap(entry =>
      entry.kind === 'message' ? entry.message : [],
    )
    const last = messages?.findLast(
      ({ sender, is_deleted, card, forwarded }) =>
        sender.id === this.client.me && !is_deleted && !card && !forwarded,
    )
    if (last) this.editing = last
  }

  /** Ends an edit, after which the draft is there again with its reply, or takes that from the draft. */
  #onCancel = (): void => {
    if (this.editing) this.editing = null
    else this.replyTo = null
    this.composer?.focus()
  }

  #onJump = (event: ChatEvent<'chat-jump'>): void => {
    void this.#attempt(async () => {
      const { data } = await this.client.api.GET('/api/chat/messages/{id}/', {
        params: { path: { id: event.detail.id } },
      })
      await this.timeline?.show(data.seq)
    })
  }

  /** Shows a message of this room; others are opened by whoever shows the list. */
  #onOpenRoom(event: ChatEvent<'chat-open-room'>): void {
    const { id, seq } = event.detail
    if (id !== this.roomId || seq === undefined) return
    event.stopPropagation()
    this.overlay = null
    void this.#showBesideSidebar(seq)
  }

  /** Shows a message. A sidebar that covers the room makes way, unless a thread has taken its place. */
  async #showBesideSidebar(seq: number): Promise<void> {
    const { sidebar } = this
    await this.show(seq)
    if (this.clientWidth < 700 && this.sidebar === sidebar) this.#setSidebar(null)
  }

  async #unarchive(room: Room): Promise<void> {
    await this.client.api.POST('/api/chat/rooms/{id}/unarchive/', { params: { path: { id: room.id } } })
  }

  #onKeydown = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || !this.sidebar) return
    event.stopPropagation()
    this.#toggleSidebar(null)
  }

  /** Runs `action` and shows an error message if it fails. Returns whether it succeeded. */
  #attempt = async (action: () => Promise<unknown>): Promise<boolean> => {
    try {
      await action()
      return true
    } catch (cause) {
      this.#showError(cause)
      return false
    }
  }

  #showError(cause: unknown): void {
    this.toast = errorText(cause)
    this.#setTimer(TOAST_MS, () => {
      this.toast = ''
    })
  }

  /** Updates again in a second, because the connection bar depends on the time. */
  #tick(): void {
    if (this.#tickScheduled) return
    this.#tickScheduled = true
    this.#setTimer(1_000, () => {
      this.#tickScheduled = false
      this.requestUpdate()
    })
  }

  #setTimer(wait_ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      action()
    }, wait_ms)
    this.#timers.add(timer)
  }
}

/** Loads the elements of overlay and sidebar. */
async function loadLazy(): Promise<void> {
  await import('../define-lazy.ts')
}
