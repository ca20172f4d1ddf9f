/** One picture of a room over everything; arrows go to the ones before and after. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../client/client.ts'
import { ChatError } from '../client/rest.ts'
import type { RoomView } from '../client/room.ts'
import type { Message } from '../client/wire.ts'
import { emit } from './events.ts'
import { icon } from './icons.ts'
import { property, query, state } from './reactive.ts'
import { keepEscape } from './sheet.ts'
import { t, whyFailed } from './texts.ts'
import { base } from './theme.ts'
import { wholeTime } from './when.ts'

export class ChatViewer extends LitElement {
  static override styles = [
    base,
    css`
      dialog {
        width: 100vw;
        height: 100dvh;
        max-width: none;
        max-height: none;
        padding: 0;
        border: 0;
        background: #101215;
        color: #fff;
        overflow: hidden;
      }
      dialog[open] {
        display: flex;
        flex-direction: column;
      }
      header {
        display: flex;
        align-items: center;
        gap: 8px;
        padding: calc(8px + env(safe-area-inset-top)) 8px 8px 16px;
      }
      header > div {
        flex: 1;
        min-width: 0;
      }
      .icon,
      .icon:hover,
      .small {
        color: #d5d9df;
      }
      .icon:hover {
        background: #fff2;
      }
      b {
        font-weight: 600;
      }
      .stage {
        display: grid;
        flex: 1;
        min-height: 0;
        place-items: center;
        padding: 0 8px calc(16px + env(safe-area-inset-bottom));
        touch-action: pinch-zoom;
      }
      img {
        max-width: 100%;
        max-height: 100%;
        min-height: 0;
        border-radius: 4px;
        object-fit: contain;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) message!: Message
  @property({ attribute: false }) view!: RoomView
  @state() private url = ''
  @state() private trouble = ''
  @query('dialog') private dialog!: HTMLDialogElement
  #x: number | null = null

  override firstUpdated(): void {
    this.dialog.showModal()
    void this.#load()
  }

  override render() {
    const { message, url } = this
    const name = message.attachment_name ?? ''
    return html`<dialog aria-label=${t('picture', { name })} @close=${() => emit(this, 'chat-close', null)} @keydown=${this.#key}>
      <header>
        <div><b class="cut">${message.sender.full_name || message.sender.username}</b>
        <div class="small cut">${wholeTime(message.created_at)}</div></div>
        ${url ? html`<a class="icon" href=${url} download=${name} target="_blank" rel="noopener" aria-label=${t('download')}>${icon('download')}</a>` : nothing}
        <button class="icon" aria-label=${t('close')} @click=${() => this.dialog.close()}>${icon('close')}</button>
      </header>
      <div class="stage" @pointerdown=${this.#down} @pointerup=${this.#up} @click=${this.#outside}>
        ${url ? html`<img src=${url} alt=${name} draggable="false" />` : nothing}
        ${this.trouble ? html`<p role="alert">${this.trouble}</p>` : nothing}
      </div>
    </dialog>`
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

  #step(step: 1 | -1): void {
    const pictures = (this.view.timeline?.entries ?? []).flatMap(entry =>
      entry.kind === 'message' && entry.message.message_type === 'image' && !entry.message.is_deleted
        ? [entry.message]
        : [],
    )
    const next = pictures[pictures.findIndex(one => one.id === this.message.id) + step]
    if (!next) return
    this.message = next
    this.url = ''
    this.trouble = ''
    void this.#load()
  }

  #key = (event: KeyboardEvent): void => {
    keepEscape(event)
    if (event.key === 'ArrowLeft') this.#step(-1)
    if (event.key === 'ArrowRight') this.#step(1)
  }

  #down = (event: PointerEvent): void => {
    this.#x = event.pointerType === 'touch' ? event.clientX : null
  }

  #up = (event: PointerEvent): void => {
    const way = this.#x === null ? 0 : event.clientX - this.#x
    if (Math.abs(way) > 64) this.#step(way > 0 ? -1 : 1)
  }

  #outside = (event: Event): void => {
    if (event.target === event.currentTarget) this.dialog.close()
  }
}
