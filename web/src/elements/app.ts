/**
 * The whole chat, in `<chat-app>`. List, conversation and panel, or one of them at a time.
 *
 * With `routed` the address of the page follows what is shown; the page sets it, a host page doesn't.
 */
import { html, LitElement, nothing, type PropertyValues } from 'lit'
import { type Session, sessionSource } from '../client/accounts.ts'
import type { TokenSource } from '../client/token.ts'
import { appStyle } from './app-style.ts'
import { Connection, HOME } from './connection.ts'
import type { ChatConversation } from './conversation.ts'
import { EdgeBack } from './edge-back.ts'
import type { ChatEvent } from './events.ts'
import { Notices } from './notices.ts'
import { property, query, state } from './reactive.ts'
import type { ChatRoomList } from './room-list.ts'
import { Route } from './route.ts'
import { t } from './texts.ts'

/** From this width on, list and conversation stand side by side. */
const WIDE_PX = 900
const SESSION = 'chat session'

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
    addEventListener('keydown', this.#key)
    if (!this.token && this.accounts) this.#restore()
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
    removeEventListener('keydown', this.#key)
    this.#notices?.stop()
    this.#route?.stop()
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('token') || changed.has('server') || changed.has('session' as keyof ChatApp)) {
      this.#connection.use(this.token ?? this.session, this.server.replace(/\/$/, ''))
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
      return this.#connection.refused
        ? html`<div class="none" role="status">${t('signedOut')}</div>`
        : nothing
    }
    const { roomId, wide } = this
    return html`<div class="panes ${wide ? '' : 'narrow'} ${roomId ? 'in' : ''}">
      <chat-room-list .client=${client} .current=${roomId} ?accounts=${this.accounts && !this.token}
        ?told=${wide && Boolean(roomId)} ?inert=${!wide && Boolean(roomId)} @chat-open-room=${this.#chosen}
        @chat-new-room=${() => {
          this.making = true
        }} @chat-sign-out=${() => this.#signOut()}></chat-room-list>
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
    while (!room.view.timeline && !room.view.error) {
      await new Promise(done => room.addEventListener('change', done, { once: true }))
    }
    await this.conversation?.show(seq)
  }

  #open(id: string): void {
    this.roomId = id
    this.#route?.show(id)
  }

  #leave(): void {
    if (this.#route?.leave()) return
    this.roomId = ''
  }

  #restore(): void {
    try {
      const kept = localStorage.getItem(SESSION)
      if (kept) this.session = this.#sourceOf(JSON.parse(kept) as Session)
    } catch {
      this.session = null
    }
  }

  #signedIn(session: Session): void {
    keep(session)
    this.session = this.#sourceOf(session)
  }

  #sourceOf(session: Session): TokenSource {
    return sessionSource(this.server.replace(/\/$/, ''), session, keep)
  }

  #signOut(): void {
    keep(null)
    this.session = null
    this.roomId = ''
    this.#route?.show('')
  }

  #sessionEnded(): void {
    if (!this.session || this.token) return
    keep(null)
    this.session = null
  }

  #key = (event: KeyboardEvent): void => {
    const from = event.composedPath()[0]
    const typing = from instanceof HTMLInputElement || from instanceof HTMLTextAreaElement
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault()
      if (!this.wide && this.roomId) this.#leave()
      void this.updateComplete.then(() => this.list?.search())
    } else if (event.key === 'Escape' && this.roomId && !this.wide) {
      this.#leave()
    }
  }
}

/** Keeps the session for the next visit; null forgets it. */
function keep(session: Session | null): void {
  try {
    if (session) localStorage.setItem(SESSION, JSON.stringify(session))
    else localStorage.removeItem(SESSION)
  } catch {
    // A browser that keeps nothing asks again next time.
  }
}
