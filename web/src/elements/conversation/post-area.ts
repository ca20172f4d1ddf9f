/**
 * The area of the composer: who may write, slow mode, the completion of mentions, and the way to the next one.
 *
 * The composer is its content, and works without it until it has been loaded.
 */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import type { Room, RoomView } from '../../client/room.ts'
import { RoomAccess } from '../../client/room-access.ts'
import type { Message } from '../../client/wire.ts'
import type { ChatComposer } from '../composer/composer.ts'
import { MentionCompletion } from '../composer/mention-completion.ts'
import { badgeStyle } from '../shared/badge.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { type ChatEvent, emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { mayMentionRoom } from '../shared/permissions.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
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
  @state() private error = ''
  #access: RoomAccess | null = null
  #completion = new MentionCompletion(this, () => this.#composer)
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
    this.#access?.stop()
    this.#access = null
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('room')) this.#enterRoom()
  }

  override render() {
    const wait = this.#waitText()
    return html`${this.#nextButton()}
      <div class="unseen" role="status">${typingText(this.view)}</div>
      ${this.error ? html`<div class="line danger" role="alert">${this.error}</div>` : nothing}
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

  #nextButton() {
    const n = this.client.inbox.rooms.find(room => room.id === this.room.id)?.mention_count ?? 0
    if (n === 0) return nothing
    return html`<button class="next" aria-label=${t('nextMention', { n })} title=${t('nextMention', { n })}
      @click=${() => this.#showNextMention()}>@<span class="count" aria-hidden="true">${n}</span></button>`
  }

  #enterRoom(): void {
    this.#access?.stop()
    this.#access = new RoomAccess(this.client, this.room)
    this.#completion.use(this.client, this.room)
    this.#lastMention = 0
    this.error = ''
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

  /** Adds to what is sent whom its text mentions. */
  #onSend({ detail }: ChatEvent<'chat-send'>): void {
    this.#completion.close()
    const { timeline } = this.view
    const mentions = this.editing?.mentions
    if (!timeline || !(detail.text.includes('@') || mentions?.room || mentions?.users.length)) return
    const people = this.#completion.people()
    const before = mentions ? rangesOf(detail.text, mentions, timeline.people) : []
    detail.mentions = mentionsIn(detail.text, people, mayMentionRoom(this.view, this.client.me), before)
  }
}
