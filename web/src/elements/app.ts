/**
 * The whole chat, in `<chat-app>`. List, conversation and panel, or one of them at a time.
 *
 * With `routed` the address of the page follows what is shown; the page sets it, a host page doesn't.
 */
import { html, LitElement, nothing, type PropertyValues } from 'lit'
import { type Session, sessionSource, signOut } from '../client/accounts.ts'
import { type TokenSource, userOf } from '../client/token.ts'
import { appStyle } from './app-style.ts'
import { Connection, HOME } from './connection.ts'
import type { ChatConversation } from './conversation.ts'
import { EdgeBack } from './edge-back.ts'
import type { ChatEvent } from './events.ts'
import { Notices } from './notices.ts'
import { property, query, state } from './reactive.ts'
import type { ChatRoomList } from './room-list.ts'
import { Route } from './route.ts'
import { onOtherTab, SESSIONS } from './session.ts'
import { t } from './texts.ts'

/** From this width on, list and conversation stand side by side. */
const WIDE_PX = 900
/** Frames within which the list has come in. */
const FRAMES_MAX = 60

export class ChatApp extends LitElement {
  @property() server = HOME
  /** A token of the host; without one, `accounts` offers to sign in. */
  @property() token: TokenSource | null = null
  @property({ type: Boolean }) accounts = false
  @property({ type: Boolean }) routed = false
  @state() private roomId = ''
  @state() private making = false
  @state() private wide = true
  @state() private session: TokenSource | null = null
  @query('chat-conversation') private conversation!: ChatConversation | null
  @query('chat-room-list') private list!: ChatRoomList | null
  @query('.panes') private panes!: HTMLElement | null
  #connection = new Connection(this)
  #notices: Notices | null = null
  #route: Route | null = null
  /** Whose session this is. */
  #user: number | null = null
  #listening = new AbortController()
  #resized = new ResizeObserver(() => {
    this.wide = this.clientWidth >= WIDE_PX
  })

  constructor() {
    super()
    new EdgeBack(this, {
      pane: () => (this.wide || !this.roomId ? null : this.panes),
      back: () => this.#leave(),
    })
    this.addEventListener('chat-signed-in', event =>
      this.#signedIn((event as ChatEvent<'chat-signed-in'>).detail),
    )
    this.addEventListener('auth-needed', () => this.#sessionEnded())
    this.addEventListener('chat-side', event => {
      if (!(event as ChatEvent<'chat-side'>).detail.open) this.#route?.closed()
      else this.#route?.opened(() => this.conversation?.closeSide())
    })
  }

  /** In the shadow root of the tag, which has no other content. */
  protected override createRenderRoot(): HTMLElement {
    const { adoptedStyleSheets } = this.getRootNode() as ShadowRoot
    adoptedStyleSheets.push(appStyle.styleSheet!)
    return this
  }

  override connectedCallback(): void {
    super.connectedCallback()
    // Known before anything is drawn, or a conversation is first squeezed in beside the list.
    this.wide = this.clientWidth >= WIDE_PX
    this.#resized.observe(this)
    this.#listening = new AbortController()
    const { signal } = this.#listening
    addEventListener('keydown', this.#key, { signal })
    onOtherTab(() => this.#restore(), signal)
    this.#restore()
    if (this.routed) {
      this.#notices = new Notices(id => this.#open(id))
      this.#route = new Route(id => {
        this.roomId = id
      })
      this.roomId = this.#route.room
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resized.disconnect()
    this.#listening.abort()
    this.#notices?.stop()
    this.#route?.stop()
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('token') || changed.has('server') || changed.has('session' as keyof ChatApp)) {
      const user = this.token ? null : this.#user
      this.#connection.use(this.token ?? this.session, this.#home, user)
    }
    const { client } = this.#connection
    if (client) this.#notices?.follow(client)
    else this.#notices?.stop()
  }

  override render() {
    const { client, foreign } = this.#connection
    if (foreign)
      return html`<div class="none" role="alert">${t('error_origin', { origin: location.origin })}</div>`
    if (!client) {
      if (this.accounts && !this.token && !this.session)
        return html`<main><chat-sign-in .server=${this.server}></chat-sign-in></main>`
      const { refused, failing } = this.#connection
      if (!refused && !failing) return nothing
      const why = refused ? t('signedOut') : `${t('error_offline')} ${t('retrying')}`
      return html`<div class="none" role="status">${why}</div>`
    }
    const { roomId, wide } = this
    return html`<div class="panes ${wide ? '' : 'narrow'} ${roomId ? 'in' : ''}">
      <chat-room-list .client=${client} .current=${roomId} ?accounts=${this.accounts && !this.token}
        ?told=${wide && Boolean(roomId)} ?inert=${!wide && Boolean(roomId)} @chat-open-room=${this.#chosen}
        @chat-new-room=${() => {
          this.making = true
        }} @chat-sign-out=${this.#signOut}></chat-room-list>
      <main ?inert=${!wide && !roomId} aria-label=${t('chat')}>${
        roomId
          ? html`<chat-conversation .client=${client} .roomId=${roomId} ?back=${!wide} @chat-back=${() => this.#leave()}></chat-conversation>`
          : html`<div class="none"><b>${t('pickRoom')}</b><p class="small">${t('pickRoomHint')}</p></div>`
      }</main>
    </div>
    ${
      this.making
        ? html`<chat-new-room .client=${client} @chat-open-room=${this.#chosen} @chat-close=${() => {
            this.making = false
          }}></chat-new-room>`
        : nothing
    }`
  }

  /** The server's address, to which paths are added. */
  get #home(): string {
    return this.server.replace(/\/$/, '')
  }

  #chosen = (event: ChatEvent<'chat-open-room'>): void => {
    this.making = false
    const { id, seq } = event.detail
    this.#open(id)
    if (seq !== undefined) void this.#show(id, seq)
    else void this.#write()
  }

  /** Who chose a room is about to write there; on a phone that would bring its keyboard over what one reads. */
  async #write(): Promise<void> {
    if (matchMedia('(pointer: coarse)').matches) return
    await this.updateComplete
    await this.conversation?.updateComplete
    this.conversation?.focus()
  }

  /** Shows a message once its room has been read. */
  async #show(id: string, seq: number): Promise<void> {
    await this.updateComplete
    const room = this.#connection.client!.room(id)
    while (!room.view.timeline && !room.view.gone && this.roomId === id) {
      await new Promise(done => room.addEventListener('change', done, { once: true }))
    }
    if (this.roomId === id) await this.conversation?.show(seq)
  }

  #open(id: string): void {
    this.roomId = id
    this.#route?.show(id)
  }

  #leave(): void {
    if (this.#route?.leave()) return
    this.roomId = ''
  }

  /** Takes up the session that is kept, as this or another tab has left it. */
  #restore(): void {
    if (this.token || !this.accounts) return
    const kept = SESSIONS.read()
    const user = kept && userOf(kept.access)
    if (!kept) this.#end()
    else if (!this.session || user !== this.#user) this.#begin(kept)
  }

  #signedIn(session: Session): void {
    SESSIONS.write(session)
    this.#begin(session)
  }

  #begin(session: Session): void {
    const user = userOf(session.access)
    if (this.session && user !== this.#user) this.#end()
    this.#user = user
    this.session = sessionSource(this.#home, session, SESSIONS)
  }

  #signOut = (): void => {
    const kept = SESSIONS.read()
    if (kept) void signOut(this.#home, kept)
    this.#forget()
  }

  #forget(): void {
    SESSIONS.write(null)
    this.#end()
  }

  #end(): void {
    if (!this.session) return
    this.#connection.end()
    this.session = null
    this.#user = null
    this.making = false
    this.#open('')
  }

  #sessionEnded(): void {
    if (!this.session || this.token) return
    const { roomId } = this
    this.#forget()
    // Who signs in again goes on where it was.
    this.#open(roomId)
  }

  /** Puts the cursor into the search. A list that has yet to come in takes no focus before. */
  async #toSearch(): Promise<void> {
    if (!this.wide && this.roomId) this.#leave()
    for (let frame = 0; frame < FRAMES_MAX && !this.list?.matches(':focus-within'); frame++) {
      this.list?.search()
      await new Promise(requestAnimationFrame)
    }
  }

  /** Shortcuts, where the chat has the focus; on a page of its own also where nothing has it. */
  #key = (event: KeyboardEvent): void => {
    const path = event.composedPath()
    const ours = path.includes(this) || (this.routed && event.target === document.body)
    if (!ours || event.defaultPrevented || event.isComposing) return
    const slash = event.key === '/' && !event.ctrlKey && !event.metaKey && !event.altKey
    if (slash && !isTyping(path[0])) {
      event.preventDefault()
      void this.#toSearch()
    } else if (event.key === 'Escape' && this.roomId && !this.wide) {
      this.#leave()
    }
  }
}

/** Whether what is pressed goes into a text. */
function isTyping(target: EventTarget | undefined): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || /^(input|textarea|select)$/.test(target.localName)
}
