/** One message: bubble, quote, file, state, and what a finger or a key does with it. */
import { html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../client/client.ts'
import type { Participant } from '../client/wire.ts'
import { hueOf } from './avatar.ts'
import { emit } from './events.ts'
import { icon } from './icons.ts'
import { messageStyle } from './message-style.ts'
import { isEmoji, prose } from './prose.ts'
import { property, query, state } from './reactive.ts'
import type { Row } from './rows.ts'
import { t, whyFailed } from './texts.ts'
import { base } from './theme.ts'
import { stopWaiting, whenVisible } from './visible.ts'
import { sizeOf, timeOf, wholeTime } from './when.ts'

export type MessageRow = Extract<Row, { kind: 'message' }>

/** Small signs of readers shown; beyond, a count. */
const READERS_MAX = 5

interface Shape {
  readonly width: number
  readonly ratio: number
}

/** The shapes of pictures by their messages: what is drawn again has its size at once. */
const shapes = new Map<string, Shape>()
const SHAPES_MAX = 1_000

export class ChatMessage extends LitElement {
  static override styles = [base, messageStyle]

  @property({ attribute: false, hasChanged: differs }) row!: MessageRow
  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) people: ReadonlyMap<number, Participant> = new Map()
  /** Several people write here: say who. */
  @property({ type: Boolean }) named = false
  @property({ type: Boolean, reflect: true }) first = false
  @property({ type: Boolean, reflect: true }) last = false
  @state() private url = ''
  @query('.line') private line!: HTMLElement
  @query('.swipe') private sign!: HTMLElement
  #local = ''

  constructor() {
    super()
    this.addEventListener('pointerdown', this.#first)
    this.addEventListener('contextmenu', event => {
      if (event.composedPath().some(one => one instanceof HTMLAnchorElement) || getSelection()?.toString())
        return
      event.preventDefault()
      this.#actions(event.clientX, event.clientY, false)
    })
    // Where nothing hovers, a tap shows the time that only the last of a group has in sight.
    this.addEventListener('click', event => {
      const on = event.composedPath()[0] as Element
      if (matchMedia('(hover: none)').matches && on.closest('.bubble') && !on.closest('a, button'))
        this.toggleAttribute('timed')
    })
    this.addEventListener('keydown', event => {
      if (event.key !== 'Enter' || event.composedPath()[0] !== this) return
      event.preventDefault()
      const { left, bottom } = this.line.querySelector('.bubble')!.getBoundingClientRect()
      this.#actions(left, bottom, false)
    })
  }

  override connectedCallback(): void {
    super.connectedCallback()
    this.setAttribute('role', 'listitem')
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    stopWaiting(this)
    URL.revokeObjectURL(this.#local)
    this.#local = ''
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('row')) return
    const { message, pending, first, last } = this.row
    this.first = first
    this.last = last
    this.style.setProperty('--hue', String(hueOf(String(message.sender.id))))
    if (message.message_type !== 'image') return
    this.#shape(shapes.get(message.id))
    if (pending?.file && !this.#local) this.#local = URL.createObjectURL(pending.file)
    if (this.#local) this.url = this.#local
    else if (message.attachment && !this.url) whenVisible(this, () => void this.#sign())
  }

  override render() {
    const { message, mine, pending, first, last, readers } = this.row
    const author = message.sender.full_name || message.sender.username
    const huge = !message.is_deleted && message.message_type === 'text' && isEmoji(message.content)
    return html`
      <div class="swipe" aria-hidden="true">${icon('reply')}</div>
      <div class="line ${mine ? 'mine' : ''} ${message.is_deleted ? 'gone' : ''}">
        ${mine || !this.named ? nothing : last ? this.#avatar(message.sender.id, author) : html`<span class="gap"></span>`}
        <div class="bubble ${huge ? 'huge' : ''}" part="bubble ${mine ? 'own' : 'other'}">
          ${
            first && this.named && !mine
              ? html`<div class="name cut" dir="auto">${author}</div>`
              : html`<span class="unseen">${mine ? t('you') : author}: </span>`
          }
          ${this.#quote()} ${this.#file()} ${this.#text()}
        </div>
        ${
          message.is_deleted || pending
            ? nothing
            : html`<button class="icon more" tabindex="-1" aria-label=${t('actions')} aria-haspopup="menu"
                @click=${this.#openMenu}>${icon('more')}</button>`
        }
      </div>
      ${pending?.state === 'failed' ? this.#failed() : nothing} ${readers ? this.#readers() : nothing}
    `
  }

  #avatar(id: number, name: string, brief = false) {
    return html`<chat-avatar .name=${name} .key=${String(id)} ?brief=${brief}></chat-avatar>`
  }

  #quote() {
    const quote = this.row.message.reply_to
    if (!quote || this.row.message.is_deleted) return nothing
    const { id, username } = quote.sender
    const name = id === this.client.me ? t('you') : (this.people.get(id)?.user.full_name ?? username)
    return html`<button class="quote"
      @click=${() => emit(this, 'chat-jump', { id: quote.id })}>
      <b class="cut" dir="auto">${name}</b><span class="cut" dir="auto">${quote.content || t('file')}</span>
    </button>`
  }

  #text() {
    const { message } = this.row
    const gone = message.removed_by === 'moderator' ? 'removed' : 'deleted'
    const text = message.is_deleted ? t(gone) : message.content
    const { last, pending } = this.row
    const shown = last || pending || message.is_edited
    // A time beside the bubble is on the side that the page's direction says, not the text's.
    return html`<div class="text ${text ? '' : 'bare'}" dir="auto">${message.is_deleted ? text : prose(text)}${shown ? this.#meta() : nothing}</div>
      ${shown ? nothing : this.#meta('later')}`
  }

  #meta(place = '') {
    const { message, mine, pending, read } = this.row
    const state = pending ? pending.state : 'stored'
    return html`<span class="meta ${place}" title=${wholeTime(message.created_at)}>
      ${message.is_edited && !message.is_deleted ? html`<span>${t('edited')}</span>` : nothing}
      <time datetime=${message.created_at}>${timeOf(message.created_at)}</time>
      ${mine && !message.is_deleted ? sign(state, read) : nothing}</span>`
  }

  #file() {
    const { message, pending } = this.row
    if (message.is_deleted || !message.attachment_name) return nothing
    const name = message.attachment_name
    const busy = pending?.state === 'sending' || pending?.state === 'waiting'
    if (message.message_type === 'image') {
      return html`<div class="picture">
        <button class="picture" aria-label=${t('openImage', { name })} ?disabled=${Boolean(pending)}
          @click=${() => emit(this, 'chat-file', message)}>
          ${this.url ? html`<img src=${this.url} alt="" draggable="false" @load=${this.#loaded} @error=${this.#lost} />` : nothing}
        </button>
        ${busy ? this.#ring(pending.progress) : nothing}
      </div>`
    }
    return html`<button class="doc" title=${busy ? t('cancel') : t('openFile', { name })}
      @click=${() => (busy ? emit(this, 'chat-discard', pending) : emit(this, 'chat-file', message))}>
      <span>${icon(busy ? 'close' : 'file')}</span>
      <span><span class="cut">${name}</span><span class="small">${
        busy ? `${Math.round(pending.progress * 100)} %` : sizeOf(message.attachment_size ?? 0)
      }</span></span>
    </button>`
  }

  #ring(progress: number) {
    const share = `--share: ${Math.max(2, Math.round(progress * 100))}%`
    return html`<button class="ring" aria-label=${t('cancel')}
      @click=${() => emit(this, 'chat-discard', this.row.pending!)}><i .style=${share}>${icon('close')}</i></button>`
  }

  #failed() {
    const pending = this.row.pending!
    return html`<div class="fail" role="alert">${icon('alert')}${t('failed')} ${whyFailed(pending.code ?? '')}
      <button class="plain" @click=${() => emit(this, 'chat-retry', pending)}>${t('tryAgain')}</button>
      <button class="plain danger" @click=${() => emit(this, 'chat-discard', pending)}>${t('discard')}</button>
    </div>`
  }

  #readers() {
    const ids = this.row.readers.split(' ').map(Number)
    const name = (id: number) => this.people.get(id)?.user.full_name ?? ''
    const names = ids.map(name).filter(Boolean).join(', ')
    return html`<div class="readers small" title=${t('readBy', { names })}>
      <span class="unseen">${t('readBy', { names })}</span>
      ${ids.slice(0, READERS_MAX).map(id => this.#avatar(id, name(id), true))}
      ${ids.length > READERS_MAX ? `+${ids.length - READERS_MAX}` : nothing}
    </div>`
  }

  #first = (event: PointerEvent): void => {
    if (event.pointerType !== 'touch') return
    this.removeEventListener('pointerdown', this.#first)
    void this.#touched(event)
  }

  /** The first finger on this message brings the gestures. */
  async #touched(event: PointerEvent): Promise<void> {
    const { SwipeReply } = await import('./swipe.ts')
    new SwipeReply(this, event, {
      moving: () => ({ line: this.line, sign: this.sign }),
      allowed: () => !this.row.message.is_deleted && !this.row.pending,
      swiped: () => emit(this, 'chat-reply', this.row.message),
      pressed: (x, y) => this.#actions(x, y, true),
    })
  }

  #openMenu = (event: MouseEvent): void => {
    const { left, bottom } = (event.currentTarget as Element).getBoundingClientRect()
    this.#actions(left, bottom, false)
  }

  #actions(x: number, y: number, touch: boolean): void {
    const { message, pending } = this.row
    if (!message.is_deleted && !pending) emit(this, 'chat-actions', { message, x, y, touch })
  }

  /** A picture has come: its place takes its true shape, and the timeline is told by how much it grew. */
  #loaded = (event: Event): void => {
    const { naturalWidth: width, naturalHeight: height } = event.target as HTMLImageElement
    const { offsetHeight: before } = this
    const { bottom } = this.getBoundingClientRect()
    const shape = { width: Math.min(280, Math.max(96, width), (340 * width) / height), ratio: width / height }
    if (shapes.size >= SHAPES_MAX) shapes.clear()
    shapes.set(this.row.message.id, shape)
    this.#shape(shape)
    const by = this.offsetHeight - before
    if (by !== 0) emit(this, 'chat-grew', { by, bottom })
  }

  #shape(shape: Shape | undefined): void {
    if (!shape) return
    this.style.setProperty('--width', `${shape.width}px`)
    this.style.setProperty('--shape', String(shape.ratio))
  }

  /** The server refused the address that was good before: ask for another once it is looked at again. */
  #lost = (): void => {
    if (this.#local) return
    this.url = ''
  }

  async #sign(): Promise<void> {
    try {
      this.url = await this.client.fileUrl(this.row.message)
    } catch {
      this.url = ''
    }
  }
}

/** How far an own message has come. */
function sign(state: string, read: boolean) {
  if (state === 'failed') return html`<span class="danger">${icon('alert')}</span>`
  if (state !== 'stored') return html`${icon('clock')}<span class="unseen">${t('waiting')}</span>`
  if (read) return html`<span class="seen">${icon('checks')}</span>`
  return html`${icon('check')}<span class="unseen">${t('sent')}</span>`
}

function differs(a: MessageRow, b: MessageRow | undefined): boolean {
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
