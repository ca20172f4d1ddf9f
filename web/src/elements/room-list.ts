/** The list of rooms, and the search over rooms, people and messages. */
import { html, LitElement, nothing } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Client } from '../client/client.ts'
import { ChatError } from '../client/rest.ts'
import type { ListRoom, RestMessage, RoomType, User } from '../client/wire.ts'
import { Captions } from './captions.ts'
import { connectionText } from './connection-text.ts'
import { drafts } from './drafts.ts'
import { emit } from './events.ts'
import { hitStyle, hits } from './hits.ts'
import { icon } from './icons.ts'
import { menuKeys, menuStyle } from './menu-style.ts'
import { momentOf } from './moment.ts'
import { findPeople } from './people-picker.ts'
import { property, query, state } from './reactive.ts'
import { roomListStyle } from './room-list-style.ts'
import { partnerOf, subjectSign } from './room-name.ts'
import { findMessages, isSearched } from './search.ts'
import { searchField, searchFieldStyle } from './search-field.ts'
import type { Place } from './sheet.ts'
import { type TextKey, t, whyFailed } from './texts.ts'
import { base } from './theme.ts'
import { Watch } from './watch.ts'

const WAIT_MS = 250
/** People offered by a search. */
const PEOPLE_SHOWN = 5
const OFFLINE = new ChatError('offline', 'offline')
const SKELETON = [1, 2, 3, 4, 5, 6]

const KIND: Readonly<Record<RoomType, TextKey>> = {
  direct: 'roomDirect',
  group: 'roomGroup',
  task: 'roomTask',
  property: 'roomProperty',
}

export class ChatRoomList extends LitElement {
  static override styles = [base, menuStyle, hitStyle, searchFieldStyle, roomListStyle]

  @property({ attribute: false }) client!: Client
  @property() current = ''
  /** One can sign out here. */
  @property({ type: Boolean }) accounts = false
  /** Something else in sight tells how the connection is. */
  @property({ type: Boolean }) told = false
  @state() private term = ''
  @state() private typed = ''
  @state() private people: readonly User[] = []
  @state() private messages: readonly RestMessage[] = []
  /** The term that people and messages were found for; none yet while it is looked for. */
  @state() private looked = ''
  @state() private trouble = ''
  @state() private archived = false
  @state() private menu: Place | null = null
  /** Who is signed in, as soon as it has been asked. */
  @state() private self: User | null = null
  @query('input') private input!: HTMLInputElement
  #timer: ReturnType<typeof setTimeout> | undefined
  #captions = new Captions(() => this.requestUpdate())
  #askedFor: Client | null = null

  constructor() {
    super()
    new Watch(this, () => [this.client, drafts])
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    clearTimeout(this.#timer)
  }

  override willUpdate(): void {
    if (this.client.me !== this.self?.id) this.self = null
    if (this.client !== this.#askedFor && this.client.state === 'open') void this.#askSelf()
  }

  /** Puts the cursor into the search. */
  search(): void {
    this.input.focus()
    this.input.select()
  }

  override render() {
    const { inbox, listTrouble } = this.client
    const stale = inbox.loaded && listTrouble ? `${t('listFailed')} ${t('retrying')}` : ''
    const connection = (this.told ? '' : connectionText(this.client)) || stale
    return html`<header>
        ${searchField(t('searchAll'), this.typed, this.#typed, this.#searchKeys)}
        <button class="icon" aria-label=${t('newRoom')} @click=${() => emit(this, 'chat-new-room', null)}>${icon('plus')}</button>
        <button class="icon me" aria-haspopup="menu" @click=${this.#openMenu}>
          <span class="unseen">${t('menuOf', { name: this.#ownName })}</span>
          <chat-avatar .name=${this.#ownName} .key=${String(this.client.me)}></chat-avatar></button>
      </header>
      ${connection ? html`<div class="bar" role="status">${connection}</div>` : nothing}
      <nav class="list" aria-label=${t('rooms')} @keydown=${this.#listKeys}>${this.term ? this.#found() : this.#rooms()}</nav>
      ${this.menu ? this.#menu(this.menu) : nothing}`
  }

  #rooms() {
    const { rooms, loaded } = this.client.inbox
    if (!loaded && this.#trouble) return this.#failed()
    if (!loaded) return SKELETON.map(() => html`<div class="wait"><i></i></div>`)
    if (rooms.length === 0) {
      return html`<div class="none"><b>${t('noRooms')}</b><p class="small">${t('noRoomsHint')}</p>
        <button class="solid" @click=${() => emit(this, 'chat-new-room', null)}>${t('newRoom')}</button></div>`
    }
    const live = rooms.filter(room => room.is_active)
    const old = rooms.filter(room => !room.is_active)
    return html`${this.#list(live)}
      ${
        old.length > 0
          ? html`<button class="fold" aria-expanded=${this.archived} @click=${() => {
              this.archived = !this.archived
            }}>${icon('archive')}${t('archivedRooms')} (${old.length})</button>`
          : nothing
      }
      ${this.archived ? this.#list(old) : nothing}`
  }

  /** Why there is no list yet, or no newer one. */
  get #trouble(): ChatError | null {
    return this.client.reachable ? this.client.listTrouble : OFFLINE
  }

  #failed() {
    const offline = this.#trouble?.code === 'offline'
    return html`<div class="none" role="status"><b>${t(offline ? 'error_offline' : 'listFailed')}</b>
      <p class="small">${t('retrying')}</p>
      <button class="plain" @click=${() => this.client.again()}>${t('tryAgain')}</button></div>`
  }

  #list(rooms: readonly ListRoom[]) {
    return html`<ul>${repeat(
      rooms,
      room => room.id,
      room => this.#room(room),
    )}</ul>`
  }

  #room(room: ListRoom) {
    const { unread_count, is_muted } = room
    const unread = unread_count > 0 && !is_muted
    return html`<li><button class="room ${unread ? 'unread' : ''} ${is_muted ? 'quiet' : ''}"
      aria-current=${room.id === this.current} @click=${() => emit(this, 'chat-open-room', { id: room.id })}>
      <chat-avatar .name=${room.display_name} .key=${String(partnerOf(room, this.client.me)?.id ?? room.id)}
        .sign=${subjectSign(room.room_type)}></chat-avatar>
      <span class="line"><span class="name"><span class="unseen">${t(KIND[room.room_type])}: </span><span class="cut" dir="auto">${subjectOf(room)}</span>${
        is_muted ? html`${icon('mute')}<span class="unseen">${t('muted')}</span>` : nothing
      }</span>
      <time datetime=${room.last_message_time}>${momentOf(room.last_message_time)}</time></span>
      <span class="line"><span class="text">${this.#preview(room)}</span>${
        unread_count > 0
          ? html`<span class="count"><span class="unseen">${t('unread', { n: unread_count })}</span><span aria-hidden="true">${unread_count}</span></span>`
          : nothing
      }</span>
    </button></li>`
  }

  #preview(room: ListRoom) {
    if (this.client.outbox.of(room.id).some(entry => entry.state === 'failed'))
      return html`<i class="danger">${t('failed')}</i>`
    const draft = room.id === this.current ? '' : this.#draft(room.id)
    if (draft) return html`<i class="danger">${t('draft')}:</i> ${draft}`
    const { last_message_preview: text, last_message_sender: sender, room_type } = room
    const kind = { '[Image]': t('photoPreview'), '[File Attachment]': t('filePreview') }[text]
    const shown = kind
      ? this.#captions.of(this.client, room) || kind
      : text === 'No messages yet'
        ? t('noMessages')
        : text
    const own = sender?.id === this.client.me
    // A block of its own: a text from right to left is cut at its end, not where it begins.
    const said = html`<span class="cut" dir="auto">${shown}</span>`
    if (!sender || (room_type === 'direct' && !own)) return said
    const name = own ? t('you') : (sender.full_name || sender.username).split(' ')[0]
    return html`<i>${name}:</i> ${said}`
  }

  /** What is being written in a room. */
  #draft(id: string): string {
    const place = `${this.client.me} ${id}`
    const [file] = drafts.files(place)
    return drafts.text(place).trim() || (file?.name ?? '')
  }

  #found() {
    const term = this.term.toLowerCase()
    const rooms = this.client.inbox.rooms.filter(room => room.display_name.toLowerCase().includes(term))
    const { messages, trouble } = this
    // Whoever is found as a conversation isn't offered a second time as a person.
    const found = new Set(rooms.map(room => partnerOf(room, this.client.me)?.id))
    const people = this.people.filter(user => !found.has(user.id))
    const named = new Map(this.client.inbox.rooms.map(room => [room.id, subjectOf(room)]))
    if (!trouble && rooms.length + people.length + messages.length === 0) {
      const looking = this.looked !== this.term
      return html`<p class="none small" role="status">${looking ? t('loading') : t('noFound', { q: this.term })}</p>`
    }
    return html`${this.#list(rooms)}
      ${trouble ? html`<p class="none small" role="alert">${trouble}</p>` : nothing}
      ${
        people.length > 0
          ? html`<h3>${t('foundPeople')}</h3><ul>${people.map(
              user => html`<li><button class="room" @click=${() => this.#talk(user)}>
              <chat-avatar .name=${user.full_name || user.username} .key=${String(user.id)}></chat-avatar>
              <span class="line"><span class="name"><span class="cut" dir="auto">${user.full_name || user.username}</span></span></span>
              <span class="line"><span class="text cut">@${user.username}</span></span></button></li>`,
            )}</ul>`
          : nothing
      }
      ${
        messages.length > 0
          ? html`<h3>${t('found')}</h3>${hits(
              messages,
              this.term,
              one => emit(this, 'chat-open-room', { id: one.room, seq: one.seq }),
              one => ` · ${named.get(one.room) ?? ''}`,
            )}`
          : nothing
      }`
  }

  #menu(place: Place) {
    const close = (event: Event) => {
      event.stopPropagation()
      this.menu = null
    }
    const name = this.#ownName
    const { username, me } = this.client
    return html`<chat-sheet .anchor=${place} @chat-close=${close}>
      <div class="whose"><chat-avatar .name=${name} .key=${String(me)}></chat-avatar>
        <span><b class="cut" dir="auto">${name}</b><span class="small cut">@${this.self?.username ?? username}</span></span></div>
      <div class="menu" role="menu" aria-label=${t('menu')} @keydown=${menuKeys}>
      ${
        mayAsk()
          ? html`<button role="menuitem" @click=${() => {
              this.menu = null
              void Notification.requestPermission()
            }}>${icon('bell')}${t('notify')}</button>`
          : nothing
      }
      ${
        this.accounts
          ? html`<button role="menuitem" @click=${() => emit(this, 'chat-sign-out', null)}>${icon('leave')}${t('signOut')}</button>`
          : nothing
      }
    </div></chat-sheet>`
  }

  get #ownName(): string {
    return this.self?.full_name || this.client.username || t('you')
  }

  #openMenu = (event: MouseEvent): void => {
    const { left, bottom } = (event.currentTarget as Element).getBoundingClientRect()
    this.menu = { x: left, y: bottom }
  }

  /** Asks once for each person who signs in; without an answer the username says who it is. */
  async #askSelf(): Promise<void> {
    const { client } = this
    this.#askedFor = client
    try {
      const { data } = await client.api.GET('/api/chat/users/me/')
      if (client === this.client) this.self = data
    } catch {
      this.#askedFor = null
    }
  }

  #typed = (): void => {
    this.typed = this.input.value
    this.term = this.typed.trim()
    this.trouble = ''
    clearTimeout(this.#timer)
    if (this.term) this.#timer = setTimeout(() => void this.#look(this.term), WAIT_MS)
    else this.#show([], [])
  }

  async #try(act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (cause) {
      this.trouble = whyFailed(cause instanceof ChatError ? cause.code : 'other')
    }
  }

  /** Opens the one conversation with a person, which is made at the first time. */
  #talk(user: User): Promise<void> {
    return this.#try(async () => {
      const body = { room_type: 'direct' as const, participant_ids: [user.id] }
      const { data } = await this.client.api.POST('/api/chat/rooms/', { body })
      await this.client.list()
      emit(this, 'chat-open-room', { id: data.id })
    })
  }

  #look(term: string): Promise<void> {
    return this.#try(async () => {
      const [people, messages] = await Promise.all([
        findPeople(this.client, term, PEOPLE_SHOWN),
        isSearched(term) ? findMessages(this.client, term) : [],
      ])
      if (term !== this.term) return
      this.looked = term
      this.#show(
        people.filter(user => user.id !== this.client.me),
        messages,
      )
    })
  }

  #show(people: readonly User[], messages: readonly RestMessage[]): void {
    this.people = people
    this.messages = messages
  }

  #searchKeys = (event: KeyboardEvent): void => {
    if (event.key === 'Escape' && this.term) {
      event.stopPropagation()
      this.typed = ''
      this.term = ''
      this.trouble = ''
      this.#show([], [])
    } else if (event.key === 'ArrowDown') {
      event.preventDefault()
      this.renderRoot.querySelector<HTMLElement>('.list button')?.focus()
    }
  }

  #listKeys = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const lines = [...this.renderRoot.querySelectorAll<HTMLElement>('.list button')]
    const at = lines.indexOf((this.renderRoot as ShadowRoot).activeElement as HTMLElement) + step
    if (at < 0) this.input.focus()
    else lines[at]?.focus()
  }
}

/** The sign says already whether it is a task or a property. */
function subjectOf(room: ListRoom): string {
  return subjectSign(room.room_type) ? room.display_name.replace(/^(Task|Property): /, '') : room.display_name
}

function mayAsk(): boolean {
  return 'Notification' in globalThis && Notification.permission === 'default'
}
