/**
 * The content of `<chat-app>`: room list and conversation, side by side or one at a time.
 *
 * It also owns the session of the built-in accounts, the browser history and the notifications.
 */
import { html, LitElement, nothing, type PropertyValues } from 'lit'
import { type Session, sessionSource, signOut } from '../../client/accounts.ts'
import type { Client } from '../../client/client.ts'
import { type TokenSource, userIdOf } from '../../client/tokens.ts'
import type { ChatConversation } from '../conversation/conversation.ts'
import type { ChatRoomList } from '../list/room-list.ts'
import type { SystemNotifications } from '../notifications/system-notifications.ts'
import { ClientController, SCRIPT_ORIGIN } from '../shared/client-controller.ts'
import { property, query, state } from '../shared/decorators.ts'
import type { ChatEvent } from '../shared/events.ts'
import { isTouchDevice } from '../shared/pointer.ts'
import { isDialogOpen } from '../shared/sheet.ts'
import { errorText, t } from '../shared/texts.ts'
import { appPanesStyle } from './app-panes-style.ts'
import { Router } from './router.ts'
import { onSessionChange, SESSION_STORE } from './session-storage.ts'
import { SwipeBack } from './swipe-back.ts'

/** Minimum width at which list and conversation are side by side. */
const WIDE_MIN_PX = 900
/** Number of frames within which the list has become visible. */
const FRAMES_MAX = 60

export class ChatAppPanes extends LitElement {
  @property() server = SCRIPT_ORIGIN
  @property() token: TokenSource | null = null
  /** Offers to sign in to a built-in account unless there is a token. */
  @property({ type: Boolean }) accounts = false
  /** The address of the page follows what is shown. */
  @property({ type: Boolean }) routed = false
  @state() private roomId = ''
  @state() private creatingRoom = false
  @state() private switching = false
  /** Why an invitation lets its user in nowhere, or not yet. */
  @state() private refusal = ''
  /** The token of an invitation that has neither been accepted nor refused. */
  @state() private invitation = ''
  @state() private isWide = true
  @state() private session: TokenSource | null = null
  @query('chat-conversation') private conversation!: ChatConversation | null
  @query('chat-room-list') private list!: ChatRoomList | null
  @query('.panes') private panes!: HTMLElement | null
  #controller = new ClientController(this)
  #notifications: SystemNotifications | null = null
  #router: Router | null = null
  /** The client by which the invitation is being accepted, or has been tried. */
  #invited: Client | null = null
  /** Resolves once there has been a client. */
  #onSignIn = () => {}
  #signedIn = new Promise<void>(resolve => {
    this.#onSignIn = resolve
  })
  /** The user of the session. */
  #userId: number | null = null
  #listeners = new AbortController()
  #resizeObserver = new ResizeObserver(() => {
    this.isWide = this.clientWidth >= WIDE_MIN_PX
  })

  constructor() {
    super()
    new SwipeBack(this, {
      panes: () => (this.isWide || !this.roomId ? null : this.panes),
      back: () => this.#closeRoom(),
    })
    this.addEventListener('chat-signed-in', event =>
      this.#onSignedIn((event as ChatEvent<'chat-signed-in'>).detail),
    )
    this.addEventListener('auth-needed', () => this.#onAuthNeeded())
    this.addEventListener('chat-sidebar', event => {
      if (!(event as ChatEvent<'chat-sidebar'>).detail.open) this.#router?.sidebarClosed()
      else this.#router?.sidebarOpened(() => this.conversation?.closeSidebar())
    })
  }

  /** Renders into the shadow root of `<chat-app>`, which has no other content. */
  protected override createRenderRoot(): HTMLElement {
    const { adoptedStyleSheets } = this.getRootNode() as ShadowRoot
    adoptedStyleSheets.push(appPanesStyle.styleSheet!)
    return this
  }

  override connectedCallback(): void {
    super.connectedCallback()
    // Measured before the first render, which would otherwise squeeze the conversation in beside the list.
    this.isWide = this.clientWidth >= WIDE_MIN_PX
    this.#resizeObserver.observe(this)
    this.#listeners = new AbortController()
    const { signal } = this.#listeners
    addEventListener('keydown', this.#onKeydown, { signal })
    onSessionChange(() => this.#restoreSession(), signal)
    this.#restoreSession()
    void this.#loadNotifications()
    if (this.routed) {
      this.#router = new Router((id, seq) => this.#followAddress(id, seq))
      this.#followAddress(this.#router.room, this.#router.seq)
      this.invitation = this.#router.invitation
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resizeObserver.disconnect()
    this.#listeners.abort()
    this.#notifications?.stop()
    this.#router?.stop()
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('token') || changed.has('server') || changed.has('session' as keyof ChatAppPanes)) {
      const user = this.token ? null : this.#userId
      this.#controller.use(this.token ?? this.session, this.#serverUrl, user)
    }
    const { client } = this.#controller
    if (client) {
      this.#onSignIn()
      void import('../define-notices.ts')
      if (this.invitation && client !== this.#invited) void this.#accept(client)
    }
    if (client) this.#notifications?.follow(client)
    else this.#notifications?.stop()
  }

  override render() {
    const { client, originRefused } = this.#controller
    if (originRefused)
      return html`<div class="none" role="alert">${t('error_origin', { origin: location.origin })}</div>`
    if (!client) {
      if (this.accounts && !this.token && !this.session)
        return html`<main><chat-sign-in .server=${this.server}></chat-sign-in></main>`
      const { refused, failing } = this.#controller
      if (!refused && !failing) return nothing
      const text = refused ? t('signedOut') : `${t('error_offline')} ${t('retrying')}`
      return html`<div class="none" role="status">${text}</div>`
    }
    const { roomId, isWide } = this
    return html`${this.#refusal(client)}<div class="panes ${isWide ? '' : 'narrow'} ${roomId ? 'in' : ''}">
      <chat-room-list .client=${client} .current=${roomId} ?accounts=${this.accounts && !this.token}
        .hideStatus=${isWide && Boolean(roomId)} ?inert=${!isWide && Boolean(roomId)} @chat-open-room=${this.#onOpenRoom}
        @chat-new-room=${() => {
          this.creatingRoom = true
        }} @chat-sign-out=${this.#onSignOut}></chat-room-list>
      <main ?inert=${!isWide && !roomId} aria-label=${t('chat')}>${
        roomId
          ? html`<chat-conversation .client=${client} .roomId=${roomId} ?back=${!isWide} @chat-back=${() => this.#closeRoom()}
            @chat-open-room=${this.#onOpenRoom}></chat-conversation>`
          : html`<div class="none"><b>${t('pickRoom')}</b><p class="small">${t('pickRoomHint')}</p></div>`
      }</main>
    </div>
    <chat-notices .client=${client} @chat-open-room=${this.#onOpenRoom}></chat-notices>
    ${
      this.creatingRoom
        ? html`<chat-new-room .client=${client} @chat-open-room=${this.#onOpenRoom} @chat-close=${() => {
            this.creatingRoom = false
          }}></chat-new-room>`
        : nothing
    }
    ${
      this.switching
        ? html`<chat-switcher .client=${client} @chat-open-room=${this.#onOpenRoom} @chat-close=${() => {
            this.switching = false
          }}></chat-switcher>`
        : nothing
    }`
  }

  #refusal(client: Client) {
    if (!this.refusal) return nothing
    const again = this.invitation
      ? html`<button class="plain" @click=${() => this.#accept(client)}>${t('tryAgain')}</button>`
      : nothing
    return html`<p class="refusal" role="alert">${this.refusal} ${again}</p>`
  }

  /** The server's URL without a trailing slash. */
  get #serverUrl(): string {
    return this.server.replace(/\/$/, '')
  }

  /** Opens the message at `seq` of a room. */
  openMessage(id: string, seq: number): void {
    this.#openRoom(id)
    void this.#showMessage(id, seq)
  }

  /** Loads the bell, and what a page of its own shows in the browser. */
  async #loadNotifications(): Promise<void> {
    const { SystemNotifications } = await import('../define-notifications.ts')
    if (!this.isConnected || !this.routed) return
    this.#notifications = new SystemNotifications((id, seq) =>
      seq ? this.openMessage(id, seq) : this.#openRoom(id),
    )
    this.requestUpdate()
  }

  /** Shows what is in the address of the page. */
  #followAddress(id: string, seq: number): void {
    this.roomId = id
    if (seq) void this.#showMessage(id, seq)
  }

  #onOpenRoom = (event: ChatEvent<'chat-open-room'>): void => {
    this.creatingRoom = false
    this.switching = false
    const { id, seq, thread } = event.detail
    if (seq !== undefined) {
      this.#openRoom(id)
      void this.#showMessage(id, seq, thread)
      return
    }
    this.#openRoom(id)
    void this.#focusComposer()
  }

  /** Prepares for writing, except on a phone, where the keyboard would cover the messages. */
  async #focusComposer(): Promise<void> {
    if (isTouchDevice()) return
    await this.updateComplete
    await this.conversation?.updateComplete
    this.conversation?.focus()
  }

  /** Shows a message once its room has been loaded, and a thread beside it. */
  async #showMessage(id: string, seq: number, thread?: string): Promise<void> {
    await this.#signedIn
    await this.updateComplete
    const room = this.#controller.client!.room(id)
    while (!room.view.timeline && !room.view.gone && this.roomId === id) {
      await new Promise(resolve => room.addEventListener('change', resolve, { once: true }))
    }
    if (this.roomId !== id) return
    // Before a thread that is opened has an entry of its own.
    this.#router?.leaveMessage()
    await this.conversation?.show(seq)
    if (thread) this.conversation?.openSidebar({ thread })
  }

  /**
   * Comes into the room of the invitation, and shows it. After a temporary failure the invitation is kept, and if the
   * user has to sign in again, the next client accepts it.
   */
  async #accept(client: Client): Promise<void> {
    this.#invited = client
    this.refusal = ''
    try {
      const { acceptInvitation } = await import('../../client/invitation.ts')
      const room = await acceptInvitation(client, this.invitation)
      this.invitation = ''
      this.#router?.leaveInvitation()
      if (room) this.#openRoom(room)
      else this.refusal = t('invitationRefused')
    } catch (cause) {
      this.refusal = errorText(cause)
    }
  }

  #openRoom(id: string): void {
    if (!this.invitation) this.refusal = ''
    this.roomId = id
    this.#router?.show(id)
  }

  #closeRoom(): void {
    if (this.#router?.back()) return
    this.roomId = ''
  }

  /** Resumes the stored session, or ends the current one if another tab has signed out. */
  #restoreSession(): void {
    if (this.token || !this.accounts) return
    const stored = SESSION_STORE.read()
    const user = stored && userIdOf(stored.access)
    if (!stored) this.#endSession()
    else if (!this.session || user !== this.#userId) this.#startSession(stored)
  }

  #onSignedIn(session: Session): void {
    SESSION_STORE.write(session)
    this.#startSession(session)
  }

  #startSession(session: Session): void {
    const user = userIdOf(session.access)
    if (this.session && user !== this.#userId) this.#endSession()
    this.#userId = user
    this.session = sessionSource(this.#serverUrl, session, SESSION_STORE)
  }

  #onSignOut = async (): Promise<void> => {
    await this.#notifications?.leave()
    const stored = SESSION_STORE.read()
    if (stored) void signOut(this.#serverUrl, stored)
    this.#clearSession()
  }

  #clearSession(): void {
    SESSION_STORE.write(null)
    this.#endSession()
  }

  #endSession(): void {
    if (!this.session) return
    this.#controller.end()
    this.session = null
    this.#userId = null
    this.creatingRoom = false
    this.switching = false
    this.#openRoom('')
  }

  #onAuthNeeded(): void {
    if (!this.session || this.token) return
    const { roomId } = this
    this.#clearSession()
    // Signing in again returns to the same room.
    this.#openRoom(roomId)
  }

  /** Focuses the search field, which is possible only once the list has become visible. */
  async #focusSearch(): Promise<void> {
    if (!this.isWide && this.roomId) this.#closeRoom()
    for (let frame = 0; frame < FRAMES_MAX && !this.list?.matches(':focus-within'); frame++) {
      this.list?.focusSearch()
      await new Promise(requestAnimationFrame)
    }
  }

  /** Handles shortcuts while the chat has the focus; on its own page also while nothing has it. */
  #onKeydown = (event: KeyboardEvent): void => {
    const path = event.composedPath()
    const inChat = path.includes(this) || (this.routed && event.target === document.body)
    if (!inChat || event.defaultPrevented || event.isComposing || isDialogOpen()) return
    const slash = event.key === '/' && !event.ctrlKey && !event.metaKey && !event.altKey
    if (slash && !isTextField(path[0])) {
      event.preventDefault()
      void this.#focusSearch()
    } else if (event.key === 'k' && (event.ctrlKey || event.metaKey) && this.#controller.client) {
      event.preventDefault()
      this.switching = true
    } else if (event.key === 'Escape' && this.roomId && !this.isWide) {
      this.#closeRoom()
    }
  }
}

/** Whether a key pressed in `target` is text input. */
function isTextField(target: EventTarget | undefined): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || /^(input|textarea|select)$/.test(target.localName)
}
