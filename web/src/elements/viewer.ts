/** One picture of a room over everything: the ones before and after, closer, and away by a pull. */
import { html, LitElement, nothing } from 'lit'
import type { Client } from '../client/client.ts'
import { ChatError } from '../client/rest.ts'
import type { RoomView } from '../client/room.ts'
import type { Message } from '../client/wire.ts'
import { emit } from './events.ts'
import { Glass } from './glass.ts'
import { icon } from './icons.ts'
import { property, query, state } from './reactive.ts'
import { keepEscape } from './sheet.ts'
import { t, whyFailed } from './texts.ts'
import { base } from './theme.ts'
import { viewerStyle } from './viewer-style.ts'
import { wholeTime } from './when.ts'

/** Pictures of the room that are asked for at a time, and how often, in search of the one that is shown. */
const PAGE = 100
const PAGES_MAX = 10

export class ChatViewer extends LitElement {
  static override styles = [base, viewerStyle]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) message!: Message
  @property({ attribute: false }) view!: RoomView
  @state() private url = ''
  @state() private trouble = ''
  @state() private zoomed = false
  /** The room's pictures, the newest first, and how many there are in all. */
  @state() private all: readonly Message[] = []
  @state() private count = 0
  @query('dialog') private dialog!: HTMLDialogElement
  @query('.stage') private stage!: HTMLElement
  #glass = new Glass({
    picture: () => this.renderRoot.querySelector('img'),
    stage: () => this.stage,
    step: step => this.#step(step),
    close: () => this.dialog.close(),
    zoomed: zoomed => {
      this.zoomed = zoomed
    },
  })

  override firstUpdated(): void {
    this.dialog.showModal()
    this.stage.addEventListener('wheel', this.#glass.wheel, { passive: false })
    this.#known()
    void this.#load()
    void this.#list()
  }

  get #at(): number {
    return this.all.findIndex(one => one.id === this.message.id)
  }

  override render() {
    const { message, url, count, zoomed } = this
    const name = message.attachment_name ?? ''
    const at = this.#at
    return html`<dialog tabindex="-1" aria-label=${t('picture', { name })} @close=${() => emit(this, 'chat-close', null)} @keydown=${this.#key}>
      <header>
        <div><b class="cut" dir="auto">${message.sender.full_name || message.sender.username}</b>
        <div class="small cut">${wholeTime(message.created_at)}</div></div>
        ${at >= 0 ? html`<span class="small count" role="status">${t('pictureOf', { n: count - at, all: count })}</span>` : nothing}
        <button class="icon" aria-label=${t(zoomed ? 'zoomOut' : 'zoomIn')} @click=${() => this.#glass.toggle()}>${icon(zoomed ? 'zoomOut' : 'zoomIn')}</button>
        ${url ? html`<a class="icon" href=${url} download=${name} target="_blank" rel="noopener" aria-label=${t('download')}>${icon('download')}</a>` : nothing}
        <button class="icon" aria-label=${t('close')} @click=${() => this.dialog.close()}>${icon('close')}</button>
      </header>
      <div class="stage ${zoomed ? 'zoomed' : ''}" @pointerdown=${this.#glass.down} @pointermove=${this.#glass.move}
        @pointerup=${this.#glass.up} @pointercancel=${this.#glass.lost} @click=${this.#outside} @dblclick=${this.#glass.double}>
        ${url ? html`<img src=${url} alt=${name} draggable="false" />` : nothing}
        ${this.trouble ? html`<p role="alert">${this.trouble}</p>` : nothing}
      </div>
      ${this.#arrow(1, 'earlier', 'back')} ${this.#arrow(-1, 'later', 'next')}
      ${message.content ? html`<p class="caption" dir="auto">${message.content}</p>` : nothing}
    </dialog>`
  }

  /** `step` is one in the list, where the newest is first: `1` goes to the one before in time. */
  #arrow(step: 1 | -1, text: 'earlier' | 'later', sign: 'back' | 'next') {
    return this.all[this.#at + step] && this.#at >= 0
      ? html`<button class="icon arrow ${text}" aria-label=${t(text)} @click=${() => this.#step(step)}>${icon(sign)}</button>`
      : nothing
  }

  async #load(): Promise<void> {
    const { message } = this
    try {
      const url = await this.client.fileUrl(message)
      if (message === this.message) this.url = url
    } catch (cause) {
      if (message === this.message)
        this.trouble = whyFailed(cause instanceof ChatError ? cause.code : 'other')
    }
  }

  /** What the timeline has is there at once. */
  #known(): void {
    const pictures = (this.view.timeline?.entries ?? []).flatMap(entry =>
      entry.kind === 'message' && entry.message.message_type === 'image' && !entry.message.is_deleted
        ? [entry.message]
        : [],
    )
    this.all = pictures.toReversed()
    this.count = pictures.length
  }

  /** Asks for the room's pictures until the one that is shown is among them. */
  async #list(): Promise<void> {
    const { room_id: room } = this.message
    const all: Message[] = []
    try {
      for (let page = 1; page <= PAGES_MAX; page++) {
        const query = { room, message_type: 'image' as const, page, page_size: PAGE }
        const { data } = await this.client.api.GET('/api/chat/messages/', { params: { query } })
        all.push(...data.results.map(one => ({ ...one, room_id: one.room })))
        if (!('count' in data)) return
        if (!data.next || all.slice(0, -1).some(one => one.id === this.message.id)) {
          this.all = all
          this.count = data.count
          return
        }
      }
    } catch {
      // What the timeline has is all that one can step through.
    }
  }

  #step(step: 1 | -1): void {
    const at = this.#at
    const next = at < 0 ? undefined : this.all[at + step]
    if (!next) return
    this.#glass.reset()
    this.message = next
    this.url = ''
    this.trouble = ''
    void this.#load()
    void this.#keepFocus()
  }

  /** The arrow that had the focus may be gone at an end; keys shall go on to work. */
  async #keepFocus(): Promise<void> {
    await this.updateComplete
    if (!(this.renderRoot as ShadowRoot).activeElement) this.dialog.focus()
  }

  #key = (event: KeyboardEvent): void => {
    keepEscape(event)
    const back = this.matches(':dir(rtl)') ? -1 : 1
    if (event.key === 'ArrowLeft') this.#step(back as 1 | -1)
    else if (event.key === 'ArrowRight') this.#step(-back as 1 | -1)
    else if (event.key === '+' || event.key === '-') this.#glass.by(event.key === '+' ? 1.5 : 1 / 1.5)
    else if (event.key === '0') this.#glass.reset()
  }

  #outside = (event: Event): void => {
    if (event.target === event.currentTarget && !this.#glass.moved) this.dialog.close()
  }
}
