/**
 * One message: its bubble with quote, file, text and delivery state, and the gestures and keys that act on it.
 *
 * What only some messages have, a file, a card or something below their bubble, is loaded with the first of them.
 */
import { html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import type { Participant } from '../../client/wire.ts'
import { hueOf } from '../shared/avatar.ts'
import { property, query } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { formatDateTime, formatTime } from '../shared/format.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { isEmojiOnly } from '../text/emoji-only.ts'
import { formatText, plainText } from '../text/formatter.ts'
import { messageStyle } from './message-style.ts'
import { hasLink, hasThread, type MessageRow } from './rows.ts'

/** The heights of what lies below a bubble, which are reserved while it is loaded. */
const REACTIONS_PX = 34
const READERS_PX = 24
const FAILURE_PX = 38
const THREAD_PX = 32
/** The height of a row of three more files. */
const MORE_FILES_PX = 88

export class ChatMessage extends LitElement {
  static override styles = [base, messageStyle]

  @property({ attribute: false, hasChanged: rowChanged }) row!: MessageRow
  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) people: ReadonlyMap<number, Participant> = new Map()
  /** Shows the sender, in rooms of more than two users. */
  @property({ type: Boolean }) named = false
  /** The formatter of texts has been loaded. */
  @property({ attribute: false }) formatted = false
  @property({ type: Boolean, reflect: true }) first = false
  @property({ type: Boolean, reflect: true }) last = false
  @query('.line') private line!: HTMLElement
  @query('.swipe') private swipeIcon!: HTMLElement

  constructor() {
    super()
    this.addEventListener('pointerdown', this.#onFirstTouch)
    this.addEventListener('contextmenu', event => {
      if (event.composedPath().some(one => one instanceof HTMLAnchorElement) || getSelection()?.toString())
        return
      event.preventDefault()
      this.#openActions(event.clientX, event.clientY)
    })
    // On a touch device a tap shows the time, which only the last message of a group shows permanently.
    this.addEventListener('click', event => {
      const target = event.composedPath()[0] as Element
      if (matchMedia('(hover: none)').matches && target.closest('.bubble') && !target.closest('a, button'))
        this.toggleAttribute('timed')
    })
    this.addEventListener('keydown', event => {
      if (event.key !== 'Enter' || event.composedPath()[0] !== this) return
      event.preventDefault()
      const { left, bottom } = this.line.querySelector('.bubble')!.getBoundingClientRect()
      this.#openActions(left, bottom)
    })
  }

  override connectedCallback(): void {
    super.connectedCallback()
    this.setAttribute('role', 'listitem')
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('row')) return
    const { message, first, last } = this.row
    this.first = first
    this.last = last
    this.style.setProperty('--hue', String(hueOf(String(message.sender.id))))
  }

  override render() {
    const { message, mine, first, last } = this.row
    const author = nameOf(message.sender)
    const huge = !message.is_deleted && message.message_type === 'text' && isEmojiOnly(message.content)
    return html`
      <div class="swipe" aria-hidden="true">${icon('reply')}</div>
      <div class="line ${mine ? 'mine' : ''} ${message.is_deleted ? 'gone' : ''}">
        ${mine || !this.named ? nothing : last ? html`<chat-avatar .name=${author} .key=${String(message.sender.id)}></chat-avatar>` : html`<span class="gap"></span>`}
        <div class="bubble ${huge ? 'huge' : ''}" part="bubble ${mine ? 'own' : 'other'}">
          ${
            first && this.named && !mine
              ? html`<div class="name cut" dir="auto">${author}${message.sender.kind ? html` <span class="small">${t('bot')}</span>` : nothing}</div>`
              : html`<span class="unseen">${mine ? t('you') : author}: </span>`
          }
          ${this.#urgent()} ${this.#quote()} ${this.#file()} ${this.#card()} ${this.#text()}
        </div>
        ${
          message.is_deleted
            ? nothing
            : html`<button class="icon more" tabindex="-1" aria-label=${t('actions')} aria-haspopup="menu"
                @click=${this.#onMenuButton}>${icon('more')}</button>`
        }
      </div>
      ${this.#foot()}
    `
  }

  /** Renders what lies below the bubble: more files, reactions, a thread, a failure to send, and who has read the message. */
  #foot() {
    const { message, pending, readers } = this.row
    const height =
      (message.attachments?.[1] ? MORE_FILES_PX : 0) +
      (message.reactions?.length ? REACTIONS_PX : 0) +
      (hasThread(message) ? THREAD_PX : 0) +
      (pending?.state === 'failed' ? FAILURE_PX : 0) +
      (readers ? READERS_PX : 0)
    if (!height && !hasLink(this.row)) return nothing
    void import('../define-parts.ts')
    return html`<chat-foot .style=${`min-height:${height}px`} .row=${this.row} .client=${this.client} .people=${this.people} .named=${this.named}></chat-foot>`
  }

  /** Renders what the message answers, or where it comes from: a forwarded one answers nothing. */
  #quote() {
    const { reply_to: quote, forwarded, is_deleted } = this.row.message
    if (forwarded && !is_deleted) {
      void import('../define-parts.ts')
      return html`<chat-forwarded .forwarded=${forwarded} .people=${this.people}></chat-forwarded>`
    }
    if (!quote?.sender || is_deleted) return nothing
    const { id, username } = quote.sender
    const name = id === this.client.me ? t('you') : (this.people.get(id)?.user.full_name ?? username)
    return html`<button class="quote"
      @click=${() => emit(this, 'chat-jump', { id: quote.id })}>
      <b class="cut" dir="auto">${name}</b><span class="cut" dir="auto">${plainText(quote.content ?? '') || t('file')}</span>
    </button>`
  }

  /** Renders what shows that the message is urgent. */
  #urgent() {
    const { message } = this.row
    if (!message.urgent) return nothing
    void import('../define-urgent.ts')
    return html`<chat-urgent-mark .message=${message} .client=${this.client} .people=${this.people}></chat-urgent-mark>`
  }

  /** A card is shown in place of the text that stands for it. */
  #card() {
    const { message } = this.row
    if (!message.card) return nothing
    void import('../define-cards.ts')
    return html`<chat-card .message=${message} .client=${this.client} .people=${this.people}></chat-card>`
  }

  #text() {
    const { message } = this.row
    const deleted = message.removed_by === 'moderator' ? 'removed' : 'deleted'
    const text = message.is_deleted ? t(deleted) : message.card ? '' : message.content
    const { last, pending } = this.row
    const metaInside = last || pending || message.is_edited
    // Outside the bubble the page's direction determines the side of the time, not the text's.
    return html`<div class="text ${text ? '' : 'bare'}" dir="auto">${message.is_deleted ? text : formatText(text, this.renderRoot, message, this.people, this.client.me)}${metaInside ? this.#meta() : nothing}</div>
      ${metaInside ? nothing : this.#meta('later')}`
  }

  #meta(className = '') {
    const { message, mine, pending, read } = this.row
    const state = pending ? pending.state : 'stored'
    return html`<span class="meta ${className}" title=${formatDateTime(message.created_at)}>
      ${message.is_edited && !message.is_deleted ? html`<span @click=${() => emit(this, 'chat-overlay', { kind: 'versions', message })}>${t('edited')}</span>` : nothing}
      <time datetime=${message.created_at}>${formatTime(message.created_at)}</time>
      ${mine && !message.is_deleted ? deliveryIcon(state, read) : nothing}</span>`
  }

  #file() {
    const { message } = this.row
    if (message.is_deleted || !message.attachment_name) return nothing
    void import('../define-parts.ts')
    return html`<chat-file ?image=${message.message_type === 'image'} .row=${this.row} .client=${this.client}></chat-file>`
  }

  #onFirstTouch = (event: PointerEvent): void => {
    if (event.pointerType !== 'touch') return
    this.removeEventListener('pointerdown', this.#onFirstTouch)
    void this.#addGestures(event)
  }

  /** The first touch of this message loads the gestures. */
  async #addGestures(event: PointerEvent): Promise<void> {
    const { SwipeReply } = await import('./swipe-reply.ts')
    new SwipeReply(this, event, {
      parts: () => ({ line: this.line, icon: this.swipeIcon }),
      row: () => this.row,
      onSwipe: () => emit(this, 'chat-reply', this.row.message),
      onLongPress: (x, y) => this.#openActions(x, y),
    })
  }

  #onMenuButton = (event: MouseEvent): void => {
    const { left, bottom } = (event.currentTarget as Element).getBoundingClientRect()
    this.#openActions(left, bottom)
  }

  #openActions(x: number, y: number): void {
    const { message } = this.row
    if (!message.is_deleted) emit(this, 'chat-overlay', { kind: 'actions', message, x, y })
  }
}

/** Renders the delivery state of one of the user's messages. */
function deliveryIcon(state: string, read: boolean) {
  if (state === 'failed') return html`<span class="danger">${icon('alert')}</span>`
  if (state !== 'stored') return html`${icon('clock')}<span class="unseen">${t('waiting')}</span>`
  if (read) return html`<span class="seen">${icon('checks')}</span>`
  return html`${icon('check')}<span class="unseen">${t('sent')}</span>`
}

function rowChanged(a: MessageRow, b: MessageRow | undefined): boolean {
  return (
    !b ||
    a.message !== b.message ||
    a.pending !== b.pending ||
    a.first !== b.first ||
    a.last !== b.last ||
    a.read !== b.read ||
    a.readers !== b.readers
  )
}
