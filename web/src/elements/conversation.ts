/**
 * One room as a person uses it: header, timeline, composer, and what opens over or beside them.
 *
 * It turns what its parts say into calls of the room. What isn't needed at first is loaded when it is.
 */
import { html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../client/client.ts'
import { ChatError } from '../client/rest.ts'
import type { Room } from '../client/room.ts'
import type { Message } from '../client/wire.ts'
import type { ChatComposer } from './composer.ts'
import { connectionText } from './connection-text.ts'
import { conversationStyle } from './conversation-style.ts'
import { drafts } from './drafts.ts'
import { type ChatEvent, emit } from './events.ts'
import { icon } from './icons.ts'
import type { Over } from './over.ts'
import { property, query, state } from './reactive.ts'
import { colourKey, roomName, subjectSign } from './room-name.ts'
import type { Side } from './side.ts'
import { t, whyFailed } from './texts.ts'
import { base } from './theme.ts'
import type { ChatTimeline } from './timeline.ts'
import { Watch } from './watch.ts'

/** How long a notice stays. */
const TOAST_MS = 4_000

export class ChatConversation extends LitElement {
  static override styles = [base, conversationStyle]

  @property({ attribute: false }) client!: Client
  @property() roomId = ''
  /** What the host calls the room's task or property. */
  @property() subject = ''
  /** There is a list to go back to. */
  @property({ type: Boolean }) back = false
  @state() private side: Side | null = null
  @state() private replyTo: Message | null = null
  @state() private editing: Message | null = null
  @state() private over: Over | null = null
  @state() private dropping = false
  @state() private toast = ''
  @query('chat-timeline') private timeline!: ChatTimeline | null
  @query('chat-composer') private composer!: ChatComposer | null
  #room: Room | null = null
  #ticking = false
  #timers = new Set<ReturnType<typeof setTimeout>>()

  constructor() {
    super()
    new Watch(this, () => [this.client, this.#room])
    this.addEventListener('dragleave', this.#drag)
    this.addEventListener('dragover', this.#drag)
    this.addEventListener('drop', this.#drop)
    this.addEventListener('keydown', this.#key)
  }

  override connectedCallback(): void {
    super.connectedCallback()
    if (this.#room === null && this.hasUpdated) this.#enter()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#room?.close()
    this.#room = null
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#ticking = false
  }

  /** Puts the cursor where one writes. */
  override focus(): void {
    this.composer?.focus()
  }

  /** Closes what stands beside or over the conversation; whoever calls knows of it. */
  closeSide(): void {
    this.side = null
  }

  /** Shows the message at `seq`, and where it stands. */
  async show(seq: number): Promise<void> {
    await this.updateComplete
    await this.#try(async () => this.timeline?.show(seq))
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('roomId') || changed.has('client')) this.#enter()
    if (this.client.downSince_ms !== null) this.#tick()
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has('replyTo' as keyof ChatConversation)) drafts.keepReply(this.#place, this.replyTo)
  }

  override render() {
    const room = this.#room
    if (!room) return nothing
    const { view } = room
    if (view.gone && !view.timeline) return this.#nothing()
    return html`
      <div class="main">
        ${this.#header(room)} ${this.#connection()}
        <chat-timeline exportparts="bubble, own, other" .client=${this.client} .room=${room} .view=${view} part="timeline"
          @chat-reply=${this.#reply} @chat-actions=${this.#act} @chat-jump=${this.#jump} @chat-file=${this.#file}
          @chat-retry=${(event: ChatEvent<'chat-retry'>) => this.client.outbox.retry(event.detail.client_id)}
          @chat-discard=${(event: ChatEvent<'chat-discard'>) => this.client.outbox.discard(event.detail.client_id)}
        ></chat-timeline>
        ${this.#bottom(room)}
        ${this.dropping ? html`<chat-drop></chat-drop>` : nothing}
        ${this.toast ? html`<div class="toast" role="alert">${this.toast}</div>` : nothing}
      </div>
      ${this.#aside(room)} ${this.#overlay(room)}
    `
  }

  /** There is no such room, or none that one may see: the server doesn't tell which. */
  #nothing() {
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
    const sign = subjectSign(view.timeline?.room.room_type)
    const { live, text } = presence(room, this.client.me)
    return html`<header part="header">
      ${this.#backButton()}
      <button class="who" @click=${() => this.#toggle('panel')}>
        <chat-avatar .name=${name} .key=${colourKey(room, this.client)} .sign=${sign}></chat-avatar>
        <div><h2 class="cut" dir="auto">${name}</h2><div class="small cut ${live ? 'live' : ''}">${text}</div></div><span class="unseen">${t('details')}</span>
      </button>
      <button class="icon" aria-label=${t('searchRoom')} @click=${() => this.#toggle('search')}>${icon('search')}</button>
    </header>
    <div class="unseen" role="status">${live ? text : ''}</div>`
  }

  #connection() {
    const text = connectionText(this.client)
    return text ? html`<div class="bar" role="status" part="connection">${text}</div>` : nothing
  }

  #bottom(room: Room) {
    const { timeline, gone } = room.view
    if (gone) return html`<div class="closed" role="status">${t('goneRoom')}</div>`
    if (timeline?.room.archived_at) {
      return html`<div class="closed" role="status">${t('archivedRoom')}
        ${
          room.self?.is_admin
            ? html`<button class="plain" @click=${() => this.#try(() => this.#unarchive(room))}>${t('unarchive')}</button>`
            : nothing
        }</div>`
    }
    return html`<chat-composer part="composer" .place=${this.#place}
      .replyTo=${this.replyTo} .editing=${this.editing}
      @chat-send=${this.#send} @chat-edit-last=${this.#editLast} @chat-cancel=${this.#cancel} @chat-pick=${this.#pick}
    ></chat-composer>`
  }

  #aside(room: Room) {
    return this.side
      ? html`<chat-side .client=${this.client} .room=${room} .view=${room.view} .side=${this.side}
          @chat-close=${() => this.#toggle(null)} @chat-open-room=${this.#found} @chat-file=${this.#file}></chat-side>`
      : nothing
  }

  #overlay(room: Room) {
    return this.over
      ? html`<chat-over .client=${this.client} .view=${room.view} .over=${this.over} @chat-close=${this.#closeOver}
          @chat-pick=${this.#chosen}></chat-over>`
      : nothing
  }

  #enter(): void {
    this.#room?.close()
    this.#room = this.roomId ? this.client.room(this.roomId) : null
    this.#room?.open()
    this.replyTo = drafts.reply(this.#place)
    this.editing = null
    this.over = null
    if (this.side === 'search') this.#beside(null)
  }

  #beside(side: Side | null): void {
    const was = this.side
    this.side = side
    if (Boolean(was) !== Boolean(side)) emit(this, 'chat-side', { open: Boolean(side) })
  }

  /** Where this room's draft is kept. */
  get #place(): string {
    return `${this.client.me} ${this.roomId}`
  }

  #toggle(side: Side | null): void {
    this.#beside(this.side === side ? null : side)
    if (this.side) void load()
    else this.composer?.focus()
  }

  #closeOver = (): void => {
    this.over = null
  }

  #open(over: Over): void {
    this.over = over
    void load()
  }

  #send = (event: ChatEvent<'chat-send'>): void => {
    const room = this.#room!
    const { text, files } = event.detail
    const { editing, replyTo } = this
    this.editing = null
    this.replyTo = null
    if (editing) {
      void this.#save(room, editing, text)
      return
    }
    void this.#try(async () => {
      if (files.length === 0) room.say(text, replyTo, null)
      for (const [at, file] of files.entries())
        room.say(at === 0 ? text : '', at === 0 ? replyTo : null, file)
    })
    void this.timeline?.showEnd()
    emit(this, 'message-sent', { room: room.id, text })
  }

  /** Changes a message; what can't be saved stays in the composer. */
  async #save(room: Room, message: Message, text: string): Promise<void> {
    if (!text || (text === message.content && message.rev > 0)) return
    if (await this.#try(() => room.edit(message, text))) return
    if (this.#room === room) this.editing = { ...message, content: text, rev: 0 }
  }

  #pick = (event: ChatEvent<'chat-pick'>): void => {
    const { value } = event.detail
    if (value === 'typing' || value === 'still') this.#room?.type(value === 'typing')
    else if (value === 'attach' && !matchMedia('(pointer: coarse)').matches) this.composer?.choose()
    else this.#open({ kind: value as 'attach' | 'emoji', at: event.detail.at! })
  }

  #act = (event: ChatEvent<'chat-actions'>): void => {
    this.#open({ kind: 'actions', ...event.detail })
  }

  #file = (event: ChatEvent<'chat-file'>): void => {
    const message = event.detail
    if (message.message_type === 'image') this.#open({ kind: 'picture', message })
    else void this.#try(async () => (await import('./download.ts')).download(this.client, message))
  }

  /** Does what was chosen in what lay over the conversation. */
  #chosen = (event: ChatEvent<'chat-pick'>): void => {
    const { over } = this
    const { value } = event.detail
    this.over = null
    if (over?.kind === 'emoji') this.composer?.insert(value)
    else if (over?.kind === 'attach') this.composer?.choose(value)
    else if (over?.kind === 'actions') this.#do(value, over.message)
  }

  #do(action: string, message: Message): void {
    if (action === 'copy') void this.#try(async () => navigator.clipboard.writeText(message.content))
    else if (action === 'edit') this.#edit(message)
    else if (action === 'remove') void this.#try(async () => this.#room?.delete(message))
    else {
      this.editing = null
      this.replyTo = message
    }
  }

  #reply = (event: ChatEvent<'chat-reply'>): void => {
    this.#do('reply', event.detail)
  }

  #edit(message: Message): void {
    this.replyTo = null
    this.editing = message
  }

  #editLast = (): void => {
    const entries = this.#room?.view.timeline?.entries ?? []
    const last = entries.findLast(
      entry =>
        entry.kind === 'message' && entry.message.sender.id === this.client.me && !entry.message.is_deleted,
    )
    if (last?.kind === 'message') this.#edit(last.message)
  }

  #cancel = (): void => {
    this.editing = null
    this.replyTo = null
    this.composer?.focus()
  }

  #jump = (event: ChatEvent<'chat-jump'>): void => {
    void this.#try(async () => {
      const { data } = await this.client.api.GET('/api/chat/messages/{id}/', {
        params: { path: { id: event.detail.id } },
      })
      await this.timeline?.show(data.seq)
    })
  }

  #found = (event: ChatEvent<'chat-open-room'>): void => {
    event.stopPropagation()
    const { seq } = event.detail
    if (seq === undefined) return
    if (this.clientWidth < 700) this.#beside(null)
    void this.show(seq)
  }

  async #unarchive(room: Room): Promise<void> {
    await this.client.api.POST('/api/chat/rooms/{id}/unarchive/', { params: { path: { id: room.id } } })
  }

  #key = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || !this.side) return
    event.stopPropagation()
    this.#toggle(null)
  }

  #drag = (event: DragEvent): void => {
    event.preventDefault()
    const inside = event.type === 'dragover' || this.contains(event.relatedTarget as Node | null)
    this.dropping = inside && Boolean(event.dataTransfer?.types.includes('Files'))
    if (this.dropping) void load()
  }

  #drop = (event: DragEvent): void => {
    event.preventDefault()
    this.dropping = false
    this.composer?.attach(event.dataTransfer?.files ?? [])
  }

  /** Does `act`, and says it when it fails; true when it doesn't. */
  async #try(act: () => Promise<unknown>): Promise<boolean> {
    try {
      await act()
      return true
    } catch (cause) {
      this.toast = whyFailed(cause instanceof ChatError ? cause.code : 'other')
      this.#later(TOAST_MS, () => {
        this.toast = ''
      })
      return false
    }
  }

  /** Draws again in a second, for what the connection bar says depends on the time. */
  #tick(): void {
    if (this.#ticking) return
    this.#ticking = true
    this.#later(1_000, () => {
      this.#ticking = false
      this.requestUpdate()
    })
  }

  #later(wait_ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      act()
    }, wait_ms)
    this.#timers.add(timer)
  }
}

/** Loads what opens over or beside a conversation. */
async function load(): Promise<void> {
  await import('./define-more.ts')
}

/** What the header says under the name: who types, who is there. */
function presence(room: Room, me: number | null): { live: boolean; text: string } {
  const { timeline, typing, online } = room.view
  const names = [...typing.values()].map(name => name.split(' ')[0]!)
  if (names.length === 1) return { live: true, text: t('typing1', { name: names[0]! }) }
  if (names.length === 2) return { live: true, text: t('typing2', { name: names[0]!, other: names[1]! }) }
  if (names.length > 2) return { live: true, text: t('typingMany', { n: names.length }) }
  if (!timeline) return { live: false, text: '' }
  const others = [...timeline.people.keys()].filter(id => id !== me && online.has(id)).length
  if (timeline.room.room_type === 'direct') return { live: false, text: others ? t('online') : '' }
  const { size } = timeline.people
  const people = size === 1 ? t('people1') : t('people', { n: size })
  return { live: false, text: others ? `${people}, ${t('onlineCount', { n: others })}` : people }
}
