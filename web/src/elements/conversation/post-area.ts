/**
 * The area of the composer: who may write, slow mode, the completion of mentions, the way to the next one, and the
 * commands that are given to bots in place of a message. In a thread it is without what its room says already: who is
 * typing, and the way.
 *
 * The composer is its content, and works without it until it has been loaded.
 */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import { commandIn, giveCommand } from '../../client/bot-commands.ts'
import type { Client } from '../../client/client.ts'
import { ChatError } from '../../client/errors.ts'
import type { Room, RoomView } from '../../client/room.ts'
import { RoomAccess } from '../../client/room-access.ts'
import type { Message, ServerFrame } from '../../client/wire.ts'
import { CommandCompletion } from '../composer/command-completion.ts'
import type { ChatComposer } from '../composer/composer.ts'
import { drafts } from '../composer/drafts.ts'
import { MentionCompletion } from '../composer/mention-completion.ts'
import { badgeStyle } from '../shared/badge.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { type ChatEvent, emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { mayMentionRoom } from '../shared/permissions.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { mentionsIn, rangesOf } from '../text/mentions.ts'
import { typingText } from './presence.ts'

export class ChatPostArea extends LitElement {
  static override styles = [
    base,
    badgeStyle,
    css`
      :host {
        display: block;
        position: relative;
        flex: none;
      }
      .line {
        display: flex;
        align-items: center;
        justify-content: center;
        gap: 8px;
        min-height: 36px;
        padding: 4px 16px;
        border-top: 1px solid var(--_line);
        font-size: 13px;
        color: var(--_text-2);
        font-variant-numeric: tabular-nums;
      }
      .line svg {
        flex: none;
        width: 18px;
        height: 18px;
      }
      .closed {
        min-height: 56px;
        padding-bottom: calc(4px + env(safe-area-inset-bottom));
        font-size: inherit;
      }
      .answer {
        justify-content: start;
      }
      .answer > div {
        flex: 1;
        max-height: 30vh;
        overflow: auto;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
        color: var(--_text);
      }
      .next {
        position: absolute;
        inset-inline-end: 16px;
        bottom: calc(100% + 68px);
        z-index: 2;
        display: grid;
        place-items: center;
        width: 44px;
        height: 44px;
        border: 1px solid var(--_line);
        border-radius: 50%;
        background: var(--_surface);
        color: var(--_text-2);
        box-shadow: var(--_shadow);
        font-size: 18px;
        font-weight: 600;
        animation: appear 160ms 800ms ease-out both;
      }
      .count {
        position: absolute;
        top: -8px;
      }
      /* A mention that is on the screen is read before. */
      @keyframes appear {
        from {
          opacity: 0;
          visibility: hidden;
        }
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) view!: RoomView
  @property({ attribute: false }) editing: Message | null = null
  @property({ type: Boolean }) thread = false
  @state() private error = ''
  /** What a bot has answered to the user alone, or that it has a command. */
  @state() private notice: { readonly from: string; readonly text: string } | null = null
  #access: RoomAccess | null = null
  #completion = new MentionCompletion(this, () => this.#composer)
  #commands = new CommandCompletion(this, () => this.#composer)
  /** A text that begins with a slash and gives no command is being sent. */
  #isPlain = false
  #left = new AbortController()
  /** The mention that was shown last. */
  #lastMention = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor() {
    super()
    new ChangeController(this, () => [this.client, this.#access])
    const onSend = (event: Event) => this.#onSend(event as ChatEvent<'chat-send'>)
    this.addEventListener('chat-send', onSend, { capture: true })
  }

  override connectedCallback(): void {
    super.connectedCallback()
    if (this.hasUpdated) this.#enterRoom()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    clearTimeout(this.#timer)
    this.#left.abort()
    this.#access?.stop()
    this.#access = null
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('room')) this.#enterRoom()
  }

  override render() {
    const wait = this.#waitText()
    return html`${this.thread ? nothing : this.#roomParts()}
      ${this.error ? html`<div class="line danger" role="alert">${this.error}</div>` : nothing}
      ${this.#notice()}
      ${wait && this.#mayPost ? html`<div class="line" role="timer">${icon('clock')}${wait}</div>` : nothing}
      ${this.#mayPost || this.editing ? html`<slot></slot>` : html`<div class="line closed" role="status">${icon('speaker')}${t('onlyAdminsWrite')}</div>`}`
  }

  override updated(): void {
    const wait_ms = this.#wait_ms
    if (this.#composer) this.#composer.paused = wait_ms > 0
    clearTimeout(this.#timer)
    if (wait_ms > 0) this.#timer = setTimeout(() => this.requestUpdate(), wait_ms % 1000 || 1000)
  }

  get #composer(): ChatComposer | null {
    return this.querySelector('chat-composer')
  }

  get #mayPost(): boolean {
    if (this.view.timeline?.room.posting === 'admins' && this.room.self && !this.room.self.is_admin)
      return false
    return this.#access?.allows('post') ?? true
  }

  /** How long slow mode still has the user wait. */
  get #wait_ms(): number {
    return Math.max(0, (this.#access?.nextPostAt_ms ?? 0) - Date.now())
  }

  #waitText(): string {
    const seconds = Math.ceil(this.#wait_ms / 1000)
    if (seconds === 0) return ''
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
    const isSending = this.view.pending.some(
      ({ state, code }) => state === 'waiting' && code === 'rate_limited',
    )
    return t(isSending ? 'slowSending' : 'slowMode', { time })
  }

  #roomParts() {
    return html`${this.#nextButton()}<div class="unseen" role="status">${typingText(this.view)}</div>`
  }

  #nextButton() {
    const n = this.client.inbox.rooms.find(room => room.id === this.room.id)?.mention_count ?? 0
    if (n === 0) return nothing
    return html`<button class="next" aria-label=${t('nextMention', { n })} title=${t('nextMention', { n })}
      @click=${() => this.#showNextMention()}>@<span class="count" aria-hidden="true">${n}</span></button>`
  }

  /** Renders what only this user sees. */
  #notice() {
    if (!this.notice) return nothing
    const { from, text } = this.notice
    return html`<div class="line answer" role="status"><div dir="auto"><b>${from}</b> ${text}</div>
      <button class="icon" aria-label=${t('dismiss')} @click=${() => {
        this.notice = null
      }}>${icon('close')}</button></div>`
  }

  #enterRoom(): void {
    this.#left.abort()
    this.#left = new AbortController()
    const onFrame = (event: Event) => this.#onFrame((event as CustomEvent<ServerFrame>).detail)
    this.client.addEventListener('frame', onFrame, { signal: this.#left.signal })
    this.#access?.stop()
    this.#access = RoomAccess.of(this.client, this.room)
    this.#completion.use(this.client, this.room)
    this.#commands.use(this.client, this.room.id)
    this.#lastMention = 0
    this.error = ''
    this.notice = null
  }

  #onFrame(frame: ServerFrame): void {
    if (frame.type !== 'command_answer' || frame.room_id !== this.room.id) return
    const bot = this.view.timeline?.people.get(frame.user_id)?.user
    this.notice = { from: bot ? nameOf(bot) : `/${frame.name}`, text: frame.content }
  }

  /** Leads to the next unread mention, and after the last one to the first again. */
  async #showNextMention(): Promise<void> {
    const { room } = this
    const read = async (after: number) => {
      const query = { room: room.id, mentions: 'me', unread: true, after, limit: 1 } as const
      const { data } = await this.client.api.GET('/api/chat/messages/', { params: { query } })
      return data.results[0]
    }
    this.error = ''
    try {
      const next = (await read(this.#lastMention)) ?? (this.#lastMention > 0 ? await read(0) : undefined)
      if (!next || room !== this.room) return
      this.#lastMention = next.seq
      emit(this, 'chat-jump', { id: next.id })
    } catch (cause) {
      this.error = errorText(cause)
    }
  }

  /** Gives a command if the text is one, and sends the text if not. */
  async #giveCommand(detail: ChatEvent<'chat-send'>['detail']): Promise<void> {
    const { client, room } = this
    const composer = this.#composer!
    const { draftKey } = composer
    this.error = ''
    this.notice = null
    const command = commandIn(detail.text, await this.#commands.load())
    if (!command && room === this.room) {
      this.#isPlain = true
      emit(composer, 'chat-send', detail)
      this.#isPlain = false
      return
    }
    try {
      if (!command) throw new ChatError('offline', 'another room is shown')
      await giveCommand(client, room.id, command)
      if (room === this.room && !this.notice)
        this.notice = { from: `/${command.name}`, text: t('commandSent') }
    } catch (cause) {
      // What was typed is there again, unless something else is by now.
      if (room !== this.room) drafts.setText(draftKey, drafts.text(draftKey) || detail.text)
      else {
        if (!drafts.text(draftKey)) composer.insert(detail.text)
        this.error = (cause as ChatError).code === 'unavailable' ? t('botAway') : errorText(cause)
      }
    }
  }

  /** Adds to what is sent whom its text mentions. */
  #onSend(event: ChatEvent<'chat-send'>): void {
    const { detail } = event
    this.#completion.close()
    this.#commands.close()
    if (detail.text.startsWith('/') && detail.files.length === 0 && !this.editing && !this.#isPlain) {
      event.stopPropagation()
      void this.#giveCommand(detail)
      return
    }
    const { timeline } = this.view
    const mentions = this.editing?.mentions
    if (!timeline || !(detail.text.includes('@') || mentions?.room || mentions?.users.length)) return
    const people = this.#completion.people()
    const before = mentions ? rangesOf(detail.text, mentions, timeline.people) : []
    detail.mentions = mentionsIn(detail.text, people, mayMentionRoom(this.view, this.client.me), before)
  }
}
