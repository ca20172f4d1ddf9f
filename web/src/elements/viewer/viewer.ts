/** The image viewer: one image of a room above everything else, with zoom, and steps to the others. */
import { html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { RoomView } from '../../client/room.ts'
import type { Message } from '../../client/wire.ts'
import { property, query, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { formatDateTime } from '../shared/format.ts'
import { icon } from '../shared/icons.ts'
import { containEscape, countDialog } from '../shared/sheet.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'
import { PanZoom } from './pan-zoom.ts'
import { viewerStyle } from './viewer-style.ts'

/** Images per page, and the maximum number of pages read in search of the one that is shown. */
const PAGE = 100
const PAGES_MAX = 10

export class ChatViewer extends LitElement {
  static override styles = [base, viewerStyle]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) message!: Message
  @property({ attribute: false }) view!: RoomView
  @state() private url = ''
  @state() private error = ''
  @state() private zoomed = false
  /** The room's images, newest first, and their total number. */
  @state() private images: readonly Message[] = []
  @state() private count = 0
  @query('dialog') private dialog!: HTMLDialogElement
  @query('.stage') private stage!: HTMLElement
  #panZoom = new PanZoom({
    image: () => this.renderRoot.querySelector('img'),
    stage: () => this.stage,
    onStep: step => this.#step(step),
    onClose: () => this.dialog.close(),
    onZoom: zoomed => {
      this.zoomed = zoomed
    },
  })

  constructor() {
    super()
    countDialog(this)
  }

  override firstUpdated(): void {
    this.dialog.showModal()
    this.stage.addEventListener('wheel', this.#panZoom.onWheel, { passive: false })
    this.#listFromTimeline()
    void this.#load()
    void this.#loadList()
  }

  get #index(): number {
    return this.images.findIndex(one => one.id === this.message.id)
  }

  override render() {
    const { message, url, count, zoomed } = this
    const name = message.attachment_name ?? ''
    const index = this.#index
    return html`<dialog tabindex="-1" aria-label=${t('picture', { name })} @close=${() => emit(this, 'chat-close', null)} @keydown=${this.#onKeydown}>
      <header>
        <div><b class="cut" dir="auto">${nameOf(message.sender)}</b>
        <div class="small cut">${formatDateTime(message.created_at)}</div></div>
        ${index >= 0 ? html`<span class="small count" role="status">${t('pictureOf', { n: count - index, all: count })}</span>` : nothing}
        <button class="icon" aria-label=${t(zoomed ? 'zoomOut' : 'zoomIn')} @click=${() => this.#panZoom.toggle()}>${icon(zoomed ? 'zoomOut' : 'zoomIn')}</button>
        ${url ? html`<a class="icon" href=${url} download=${name} target="_blank" rel="noopener" aria-label=${t('download')}>${icon('download')}</a>` : nothing}
        <button class="icon" aria-label=${t('close')} @click=${() => this.dialog.close()}>${icon('close')}</button>
      </header>
      <div class="stage ${zoomed ? 'zoomed' : ''}" @pointerdown=${this.#panZoom.onDown} @pointermove=${this.#panZoom.onMove}
        @pointerup=${this.#panZoom.onUp} @pointercancel=${this.#panZoom.onCancel} @click=${this.#onClick} @dblclick=${this.#panZoom.onDoubleClick}>
        ${url ? html`<img src=${url} alt=${name} draggable="false" />` : nothing}
        ${this.error ? html`<p role="alert">${this.error}</p>` : nothing}
      </div>
      ${this.#arrow(1, 'earlier', 'back')} ${this.#arrow(-1, 'later', 'next')}
      ${message.content ? html`<p class="caption" dir="auto">${plainText(message.content)}</p>` : nothing}
    </dialog>`
  }

  /** Renders an arrow. The list begins with the newest image, so a `step` of 1 leads to an earlier one. */
  #arrow(step: 1 | -1, text: 'earlier' | 'later', iconName: 'back' | 'next') {
    return this.images[this.#index + step] && this.#index >= 0
      ? html`<button class="icon arrow ${text}" aria-label=${t(text)} @click=${() => this.#step(step)}>${icon(iconName)}</button>`
      : nothing
  }

  async #load(): Promise<void> {
    const { message } = this
    try {
      const url = await this.client.fileUrl(message)
      if (message === this.message) this.url = url
    } catch (cause) {
      if (message === this.message) this.error = errorText(cause)
    }
  }

  /** Uses the timeline's images until the room's have been loaded. */
  #listFromTimeline(): void {
    const images = (this.view.timeline?.entries ?? []).flatMap(entry =>
      entry.kind === 'message' && entry.message.message_type === 'image' && !entry.message.is_deleted
        ? [entry.message]
        : [],
    )
    this.images = images.toReversed()
    this.count = images.length
  }

  /** Loads the room's images until the one that is shown is among them. */
  async #loadList(): Promise<void> {
    const { room_id: room } = this.message
    const images: Message[] = []
    try {
      for (let page = 1; page <= PAGES_MAX; page++) {
        const query = { room, message_type: 'image' as const, page, page_size: PAGE }
        const { data } = await this.client.api.GET('/api/chat/messages/', { params: { query } })
        images.push(...data.results.map(one => ({ ...one, room_id: one.room })))
        if (!('count' in data)) return
        if (!data.next || images.slice(0, -1).some(one => one.id === this.message.id)) {
          this.images = images
          this.count = data.count
          return
        }
      }
    } catch {
      // The timeline's images remain.
    }
  }

  #step(step: 1 | -1): void {
    const index = this.#index
    const next = index < 0 ? undefined : this.images[index + step]
    if (!next) return
    this.#panZoom.reset()
    this.message = next
    this.url = ''
    this.error = ''
    void this.#load()
    void this.#keepFocus()
  }

  /** Keeps the focus in the dialog if the arrow that had it has disappeared at an end. */
  async #keepFocus(): Promise<void> {
    await this.updateComplete
    if (!(this.renderRoot as ShadowRoot).activeElement) this.dialog.focus()
  }

  #onKeydown = (event: KeyboardEvent): void => {
    containEscape(event)
    const back = this.matches(':dir(rtl)') ? -1 : 1
    if (event.key === 'ArrowLeft') this.#step(back as 1 | -1)
    else if (event.key === 'ArrowRight') this.#step(-back as 1 | -1)
    else if (event.key === '+' || event.key === '-') this.#panZoom.zoomBy(event.key === '+' ? 1.5 : 1 / 1.5)
    else if (event.key === '0') this.#panZoom.reset()
  }

  #onClick = (event: Event): void => {
    if (event.target === event.currentTarget && !this.#panZoom.moved) this.dialog.close()
  }
}
