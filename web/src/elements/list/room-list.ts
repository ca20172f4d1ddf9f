/** The room list, with the search for rooms, users and messages, and the account menu. */
import { html, LitElement, nothing } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Client } from '../../client/client.ts'
import { openDirectRoom } from '../../client/direct-room.ts'
import { ChatError } from '../../client/errors.ts'
import { isPersonal } from '../../client/inbox.ts'
import { findMessages, findUsers, isSearchable, type SearchFilters } from '../../client/search.ts'
import { threadsOf } from '../../client/thread-list.ts'
import type { ListedRoom, RestMessage, RoomType, User } from '../../client/wire.ts'
import { drafts } from '../composer/drafts.ts'
import type { ChatBell } from '../notifications/bell.ts'
import { messageHitStyle, messageHits } from '../search/message-hits.ts'
import { badgeStyle } from '../shared/badge.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { connectionBarStyle, connectionStatus } from '../shared/connection-status.ts'
import { property, query, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { menuItem, menuKeys, menuStyle } from '../shared/menu.ts'
import { filePreview } from '../shared/preview.ts'
import { partnerOf, subjectKind } from '../shared/room-name.ts'
import { searchField, searchFieldStyle } from '../shared/search-field.ts'
import type { AnchorPoint } from '../shared/sheet.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { errorText, type TextKey, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { loadFormatter, plainText } from '../text/formatter.ts'
import { Captions } from './captions.ts'
import { FILTER_TEXT, FILTERS, type FilterName, filtersFor } from './filters.ts'
import { roomListStyle } from './room-list-style.ts'
import { markAllRead } from './room-settings.ts'

/** Delay between typing and the search. */
const DEBOUNCE_MS = 250
/** Maximum number of users that a search offers. */
const USERS_MAX = 5
const OFFLINE = new ChatError('offline', 'offline')
/** What the account menu opens. */
type ListWindow = 'mentions' | 'saved' | 'threads' | 'reminders' | 'scheduled'
/** The rows of the skeleton. */
const SKELETON = [1, 2, 3, 4, 5, 6]

const ROOM_TYPE_TEXT: Readonly<Record<RoomType, TextKey>> = {
  direct: 'roomDirect',
  group: 'roomGroup',
  task: 'roomTask',
  property: 'roomProperty',
}

export class ChatRoomList extends LitElement {
  static override styles = [
    base,
    badgeStyle,
    connectionBarStyle,
    menuStyle,
    messageHitStyle,
    searchFieldStyle,
    roomListStyle,
  ]

  @property({ attribute: false }) client!: Client
  @property() current = ''
  /** Offers to sign out. */
  @property({ type: Boolean }) accounts = false
  /** The connection bar is shown elsewhere. */
  @property({ attribute: false }) hideStatus = false
  @state() private term = ''
  @state() private typed = ''
  @state() private users: readonly User[] = []
  @state() private messages: readonly RestMessage[] = []
  /** The term that `users` and `messages` were found for. */
  @state() private searchedTerm = ''
  @state() private error = ''
  @state() private showArchived = false
  @state() private menu: AnchorPoint | null = null
  @state() private rowMenu: { anchor: AnchorPoint; id: string } | null = null
  @state() private filter: FilterName = 'all'
  /** The window that is open. */
  @state() private opened: ListWindow | null = null
  @state() private searchFilters: SearchFilters = {}
  /** The user, once loaded. */
  @state() private self: User | null = null
  @query('input') private input!: HTMLInputElement
  @query('chat-bell') private bell!: ChatBell
  #timer: ReturnType<typeof setTimeout> | undefined
  #captions = new Captions(() => this.requestUpdate())
  #selfLoadedFor: Client | null = null

  constructor() {
    super()
    new ChangeController(this, () => [
      this.client,
      drafts,
      this.client && isPersonal(this.client.inbox) ? threadsOf(this.client) : null,
    ])
  }

  override connectedCallback(): void {
    super.connectedCallback()
    void loadFormatter().then(() => this.requestUpdate())
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    clearTimeout(this.#timer)
  }

  override willUpdate(): void {
    if (this.client.me !== this.self?.id) this.self = null
    if (this.client !== this.#selfLoadedFor && this.client.state === 'open') void this.#loadSelf()
  }

  /** Focuses the search field. */
  focusSearch(): void {
    this.input.focus()
    this.input.select()
  }

  override render() {
    const { inbox, listError } = this.client
    const stale = inbox.loaded && listError ? `${t('listFailed')} ${t('retrying')}` : ''
    const connection = (this.hideStatus ? '' : connectionStatus(this.client)) || stale
    return html`<header>
        ${searchField(t('searchAll'), this.typed, this.#onInput, this.#onSearchKeydown)}
        <button class="icon" aria-label=${t('newRoom')} @click=${() => emit(this, 'chat-new-room', null)}>${icon('plus')}</button>
        <chat-bell .client=${this.client}></chat-bell>
        <button class="icon me" aria-haspopup="menu" @click=${this.#openAccountMenu}>
          <span class="unseen">${t('menuOf', { name: this.#ownName })}</span>
          <chat-avatar .name=${this.#ownName} .key=${String(this.client.me)}></chat-avatar>${
            this.#unreadReplies > 0
              ? html`<span class="count"><span class="unseen">${t('threadsUnread', { n: this.#unreadReplies })}</span><span aria-hidden="true">${this.#unreadReplies}</span></span>`
              : nothing
          }</button>
      </header>
      ${connection ? html`<div class="bar" role="status">${connection}</div>` : nothing}
      ${this.term ? this.#searchFilters() : inbox.rooms.length > 0 ? this.#filters(inbox.rooms) : nothing}
      <nav class="list" aria-label=${t('rooms')} @keydown=${this.#onListKeydown}>${this.term ? this.#searchResults() : this.#rooms()}</nav>
      ${this.menu ? this.#accountMenu(this.menu) : nothing}
      ${this.rowMenu ? this.#rowMenu(this.rowMenu) : nothing}
      ${this.opened ? this.#window(this.opened) : nothing}`
  }

  #rooms() {
    const { rooms, loaded } = this.client.inbox
    if (!loaded && this.#listFailure) return this.#failure()
    if (!loaded) return SKELETON.map(() => html`<div class="wait"><i></i></div>`)
    if (rooms.length === 0) {
      return html`<div class="none"><b>${t('noRooms')}</b><p class="small">${t('noRoomsHint')}</p>
        <button class="solid" @click=${() => emit(this, 'chat-new-room', null)}>${t('newRoom')}</button></div>`
    }
    const active = rooms.filter(room => room.is_active && FILTERS[this.filter](room))
    const favourites = active.filter(room => room.favourite)
    const archived = rooms.filter(room => !room.is_active && this.filter === 'all')
    return html`${this.#roomItems([...favourites, ...active.filter(room => !room.favourite)])}
      ${active.length + archived.length === 0 ? html`<p class="none small" role="status">${t('noneOfThese')}</p>` : nothing}
      ${
        archived.length > 0
          ? html`<button class="fold" aria-expanded=${this.showArchived} @click=${() => {
              this.showArchived = !this.showArchived
            }}>${icon('archive')}${t('archivedRooms')} (${archived.length})</button>`
          : nothing
      }
      ${this.showArchived ? this.#roomItems(archived) : nothing}`
  }

  /** Why the list could not be loaded. */
  get #listFailure(): ChatError | null {
    return this.client.reachable ? this.client.listError : OFFLINE
  }

  #failure() {
    const offline = this.#listFailure?.code === 'offline'
    return html`<div class="none" role="status"><b>${t(offline ? 'error_offline' : 'listFailed')}</b>
      <p class="small">${t('retrying')}</p>
      <button class="plain" @click=${() => this.client.retry()}>${t('tryAgain')}</button></div>`
  }

  /** Renders the filters of the search for messages: by people of direct rooms and the user, and by room. */
  #searchFilters() {
    const { me, inbox } = this.client
    const partners = inbox.rooms.flatMap(room =>
      room.room_type === 'direct' ? (partnerOf(room, me) ?? []) : [],
    )
    const people = partners.map(user => ({ id: String(user.id), name: nameOf(user) }))
    const rooms = inbox.rooms.map(room => ({ id: room.id, name: titleOf(room) }))
    return html`<chat-search-filters role="search" .filters=${this.searchFilters} .people=${[{ id: String(me), name: t('you') }, ...people]}
      .rooms=${rooms} .onChange=${this.#onSearchFilters}></chat-search-filters>`
  }

  #onSearchFilters = (filters: SearchFilters): void => {
    this.searchFilters = filters
    this.#onInput()
  }

  /** Renders the choice of rooms, of those kinds that the user has. */
  #filters(rooms: readonly ListedRoom[]) {
    return html`<nav class="filters" aria-label=${t('filterRooms')}>${filtersFor(rooms, this.filter).map(
      name =>
        html`<button aria-pressed=${name === this.filter} @click=${() => {
          this.filter = name
        }}>${t(FILTER_TEXT[name])}</button>`,
    )}</nav>`
  }

  #roomItems(rooms: readonly ListedRoom[]) {
    return html`<ul>${repeat(
      rooms,
      room => room.id,
      room => this.#roomItem(room),
    )}</ul>`
  }

  #roomItem(room: ListedRoom) {
    const { unread_count, is_muted } = room
    const unread = unread_count > 0 && !is_muted
    return html`<li><button class="room ${unread ? 'unread' : ''} ${is_muted ? 'quiet' : ''}"
      @contextmenu=${(event: MouseEvent) => this.#openRowMenu(event, room)} aria-current=${room.id === this.current} @click=${() => emit(this, 'chat-open-room', { id: room.id })}>
      <chat-avatar .name=${room.display_name} .key=${String(partnerOf(room, this.client.me)?.id ?? room.id)}
        .kind=${subjectKind(room.room_type)}></chat-avatar>
      <span class="line"><span class="name"><span class="unseen">${t(ROOM_TYPE_TEXT[room.room_type])}: </span><span class="cut" dir="auto">${titleOf(room)}</span>${
        room.favourite ? html`${icon('star')}<span class="unseen">${t('favourite')}</span>` : nothing
      }${is_muted ? html`${icon('mute')}<span class="unseen">${t('muted')}</span>` : nothing}</span>
      <time datetime=${room.last_message_time}>${formatShortDate(room.last_message_time)}</time></span>
      <span class="line"><span class="text">${this.#preview(room)}</span>${
        room.mention_count
          ? html`<span class="count at"><span class="unseen">${t('mentionedYou', { n: room.mention_count })}</span><span aria-hidden="true">@</span></span>`
          : nothing
      }${
        unread_count > 0
          ? html`<span class="count"><span class="unseen">${t('unread', { n: unread_count })}</span><span aria-hidden="true">${unread_count}</span></span>`
          : nothing
      }</span>
    </button></li>`
  }

  #preview(room: ListedRoom) {
    if (this.client.outbox.entriesOf(room.id).some(entry => entry.state === 'failed'))
      return html`<i class="danger">${t('failed')}</i>`
    const draft = room.id === this.current ? '' : this.#draftText(room.id)
    if (draft) return html`<i class="danger">${t('draft')}:</i> ${plainText(draft)}`
    const { last_message_preview: text, last_message_sender: sender, room_type } = room
    const kind = filePreview(text)
    const preview = kind
      ? plainText(this.#captions.of(this.client, room)) || kind
      : text === 'No messages yet'
        ? t('noMessages')
        : plainText(text)
    const own = sender?.id === this.client.me
    // In an element of its own, so that right-to-left text is truncated at its end.
    const content = html`<span class="cut" dir="auto">${preview}</span>`
    if (!sender || (room_type === 'direct' && !own)) return content
    const name = own ? t('you') : nameOf(sender).split(' ')[0]
    return html`<i>${name}:</i> ${content}`
  }

  /** Returns the draft in a room. */
  #draftText(id: string): string {
    const key = `${this.client.me} ${id}`
    const [file] = drafts.files(key)
    return drafts.text(key).trim() || (file?.name ?? '')
  }

  #searchResults() {
    const term = this.term.toLowerCase()
    const rooms = this.client.inbox.rooms.filter(room => room.display_name.toLowerCase().includes(term))
    const { messages, error } = this
    // Users whose direct room is among the results are left out.
    const partners = new Set(rooms.map(room => partnerOf(room, this.client.me)?.id))
    const users = this.users.filter(user => !partners.has(user.id))
    const titles = new Map(this.client.inbox.rooms.map(room => [room.id, titleOf(room)]))
    if (!error && rooms.length + users.length + messages.length === 0) {
      const searching = this.searchedTerm !== this.term
      return html`<p class="none small" role="status">${searching ? t('loading') : t('noFound', { q: this.term })}</p>`
    }
    return html`${this.#roomItems(rooms)}
      ${error ? html`<p class="none small" role="alert">${error}</p>` : nothing}
      ${
        users.length > 0
          ? html`<h3>${t('foundPeople')}</h3><ul>${users.map(
              user => html`<li><button class="room" @click=${() => this.#openDirectRoom(user)}>
              <chat-avatar .name=${nameOf(user)} .key=${String(user.id)}></chat-avatar>
              <span class="line"><span class="name"><span class="cut" dir="auto">${nameOf(user)}</span></span></span>
              <span class="line"><span class="text cut">@${user.username}</span></span></button></li>`,
            )}</ul>`
          : nothing
      }
      ${
        messages.length > 0
          ? html`<h3>${t('found')}</h3>${messageHits(
              messages,
              this.term,
              ({ room, seq }) => emit(this, 'chat-open-room', { id: room, seq }),
              ({ room }) => ` · ${titles.get(room) ?? ''}`,
            )}`
          : nothing
      }`
  }

  #openRowMenu(event: MouseEvent, { id }: ListedRoom): void {
    event.preventDefault()
    const { left, bottom } = (event.currentTarget as Element).getBoundingClientRect()
    // A key opens it as well, at no point.
    const anchor = event.button === 2 ? { x: event.clientX, y: event.clientY } : { x: left + 8, y: bottom }
    this.rowMenu = { anchor, id }
  }

  #rowMenu({ anchor, id }: { anchor: AnchorPoint; id: string }) {
    const room = this.client.inbox.rooms.find(one => one.id === id)
    if (!room) return nothing
    return html`<chat-row-menu .client=${this.client} .room=${room} .anchor=${anchor} @chat-close=${(
      event: Event,
    ) => {
      event.stopPropagation()
      this.rowMenu = null
    }}></chat-row-menu>`
  }

  /** Opening one of the listed messages closes the window. */
  #window(name: ListWindow) {
    const close = (event: Event) => {
      this.opened = null
      if (event.type === 'chat-close') event.stopPropagation()
    }
    const { client } = this
    const lists = {
      mentions: () => html`<chat-mentions .client=${client}></chat-mentions>`,
      saved: () => html`<chat-saved .client=${client}></chat-saved>`,
      threads: () => html`<chat-threads .client=${client}></chat-threads>`,
      reminders: () => html`<chat-reminders .client=${client}></chat-reminders>`,
      scheduled: () => html`<chat-scheduled .client=${client}></chat-scheduled>`,
    }
    return html`<div @chat-close=${close} @chat-open-room=${close}>${lists[name]()}</div>`
  }

  #openWindow(name: ListWindow): void {
    this.menu = null
    this.opened = name
    if (name === 'threads') void import('../define-threads.ts')
    else if (name === 'mentions' || name === 'saved') void import('../define-message-lists.ts')
    else void import('../define-later.ts')
  }

  #accountMenu(anchor: AnchorPoint) {
    const close = (event: Event) => {
      event.stopPropagation()
      this.menu = null
    }
    const name = this.#ownName
    const { username, me } = this.client
    return html`<chat-sheet .anchor=${anchor} @chat-close=${close}>
      <div class="whose"><chat-avatar .name=${name} .key=${String(me)}></chat-avatar>
        <span><b class="cut" dir="auto">${name}</b><span class="small cut">@${this.self?.username ?? username}</span></span></div>
      <div class="menu" role="menu" aria-label=${t('menu')} @keydown=${menuKeys}>
      ${
        isPersonal(this.client.inbox)
          ? html`${this.#threadsItem()}
              ${menuItem('notifications', 'bell', () => {
                this.menu = null
                this.bell.show('settings')
              })}
              ${menuItem('mentions', 'at', () => this.#openWindow('mentions'))}
              ${menuItem('saved', 'bookmark', () => this.#openWindow('saved'))}
              ${menuItem('reminders', 'alarm', () => this.#openWindow('reminders'))}
              ${menuItem('scheduled', 'clock', () => this.#openWindow('scheduled'))}`
          : nothing
      }
      ${
        this.client.inbox.rooms.some(room => room.unread_count > 0)
          ? menuItem('markAllRead', 'checks', () => {
              this.menu = null
              void this.#attempt(() => markAllRead(this.client))
            })
          : nothing
      }
      ${this.accounts ? menuItem('signOut', 'leave', () => emit(this, 'chat-sign-out', null)) : nothing}
    </div></chat-sheet>`
  }

  #threadsItem() {
    const n = this.#unreadReplies
    return html`<button role="menuitem" @click=${() => this.#openWindow('threads')}>${icon('thread')}<span>${t('threads')}</span>${
      n > 0
        ? html`<span class="count"><span class="unseen">${t('unreadReplies', { n })}</span><span aria-hidden="true">${n}</span></span>`
        : nothing
    }</button>`
  }

  /** The number of unread replies in the user's threads. */
  get #unreadReplies(): number {
    return isPersonal(this.client.inbox) ? threadsOf(this.client).unread() : 0
  }

  get #ownName(): string {
    return this.self?.full_name || this.client.username || t('you')
  }

  #openAccountMenu = (event: MouseEvent): void => {
    const { left, bottom } = (event.currentTarget as Element).getBoundingClientRect()
    this.menu = { x: left, y: bottom }
  }

  /** Loads the user once per client; if that fails, the username is shown. */
  async #loadSelf(): Promise<void> {
    const { client } = this
    this.#selfLoadedFor = client
    void followDrafts(client)
    try {
      const { data } = await client.api.GET('/api/chat/users/me/')
      if (client === this.client) this.self = data
    } catch {
      this.#selfLoadedFor = null
    }
  }

  #onInput = (): void => {
    this.typed = this.input.value
    this.term = this.typed.trim()
    this.error = ''
    clearTimeout(this.#timer)
    if (this.term) this.#timer = setTimeout(() => void this.#search(this.term), DEBOUNCE_MS)
    else this.#setResults([], [])
  }

  async #attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action()
    } catch (cause) {
      this.error = errorText(cause)
    }
  }

  /** Opens the direct room with a user, which is created if it does not exist. */
  #openDirectRoom(user: User): Promise<void> {
    return this.#attempt(async () => {
      emit(this, 'chat-open-room', { id: await openDirectRoom(this.client, user) })
    })
  }

  #search(term: string): Promise<void> {
    return this.#attempt(async () => {
      const [users, messages] = await Promise.all([
        findUsers(this.client, term, USERS_MAX),
        isSearchable(term) ? findMessages(this.client, term, this.searchFilters) : [],
      ])
      if (term !== this.term) return
      this.searchedTerm = term
      this.#setResults(
        users.filter(user => user.id !== this.client.me),
        messages,
      )
    })
  }

  #setResults(users: readonly User[], messages: readonly RestMessage[]): void {
    this.users = users
    this.messages = messages
  }

  #onSearchKeydown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape' && this.term) {
      event.stopPropagation()
      this.typed = ''
      this.term = ''
      this.error = ''
      this.#setResults([], [])
    } else if (event.key === 'ArrowDown') {
      event.preventDefault()
      this.renderRoot.querySelector<HTMLElement>('.list button')?.focus()
    }
  }

  #onListKeydown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const buttons = [...this.renderRoot.querySelectorAll<HTMLElement>('.list button')]
    const index = buttons.indexOf((this.renderRoot as ShadowRoot).activeElement as HTMLElement) + step
    if (index < 0) this.input.focus()
    else buttons[index]?.focus()
  }
}

/** Drafts of other devices are shown in the list. */
async function followDrafts(client: Client): Promise<void> {
  const devices = await import('../composer/draft-devices.ts')
  devices.followDrafts(client)
}

/** Removes the kind of the subject, which the avatar shows. */
function titleOf(room: ListedRoom): string {
  return subjectKind(room.room_type) ? room.display_name.replace(/^(Task|Property): /, '') : room.display_name
}
