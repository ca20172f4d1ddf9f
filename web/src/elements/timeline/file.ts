/** The file of a message: an image in its shape, or the name and the size of a document, with its upload's progress. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import type { OutboxEntry } from '../../client/outbox.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { formatSize } from '../shared/file-size.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import type { MessageRow } from './rows.ts'
import { cancelWhenVisible, whenVisible } from './when-visible.ts'

interface ImageSize {
  readonly width: number
  readonly ratio: number
}

/** The sizes of loaded images, by message id: an image that is rendered again does not shift the layout. */
const imageSizes = new Map<string, ImageSize>()
const IMAGE_SIZES_MAX = 1_000

/** The space that it takes is reserved by the message, which exists before this element is loaded. */
export class ChatFile extends LitElement {
  static override styles = [
    base,
    css`
      .picture {
        display: block;
        width: 100%;
        height: 100%;
        opacity: 1;
      }
      img {
        display: block;
        width: 100%;
        height: 100%;
        object-fit: contain;
      }
      .doc {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 44px;
        padding: 4px 0;
        width: 100%;
        max-width: 320px;
      }
      .doc > :first-child {
        display: grid;
        place-items: center;
        flex: none;
        width: 40px;
        height: 40px;
        border-radius: 12px;
        background: var(--_accent);
        color: var(--_on-accent);
      }
      .doc > :last-child {
        display: grid;
      }
      .ring {
        position: absolute;
        inset: 0;
        display: grid;
        place-items: center;
        width: 100%;
        background: #0005;
        color: #fff;
      }
      .ring i {
        display: grid;
        place-items: center;
        width: 48px;
        height: 48px;
        border-radius: 50%;
        background:
          radial-gradient(closest-side, #000a 82%, transparent 84%),
          conic-gradient(#fff var(--share, 2%), #fff4 0);
      }
    `,
  ]

  @property({ attribute: false }) row!: MessageRow
  @property({ attribute: false }) client!: Client
  @state() private url = ''
  #objectUrl = ''

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    cancelWhenVisible(this)
    URL.revokeObjectURL(this.#objectUrl)
    this.#objectUrl = ''
  }

  override willUpdate(changed: PropertyValues<this>): void {
    const { message, pending } = this.row
    if (!changed.has('row') || message.message_type !== 'image') return
    this.#applySize(imageSizes.get(message.id))
    if (pending?.file && !this.#objectUrl) this.#objectUrl = URL.createObjectURL(pending.file)
    if (this.#objectUrl) this.url = this.#objectUrl
    else if (message.attachment && !this.url) whenVisible(this, () => void this.#loadUrl())
  }

  override render() {
    const { message, pending } = this.row
    const uploading = pending?.state === 'sending' || pending?.state === 'waiting' ? pending : null
    return message.message_type === 'image' ? this.#image(uploading) : this.#document(uploading)
  }

  #image(uploading: OutboxEntry | null) {
    const { message, pending } = this.row
    return html`<button class="picture" aria-label=${t('openImage', { name: message.attachment_name! })} ?disabled=${Boolean(pending)}
        @click=${() => emit(this, 'chat-file', message)}>
        ${this.url ? html`<img src=${this.url} alt="" draggable="false" @load=${this.#onImageLoad} @error=${this.#onImageError} />` : nothing}
      </button>
      ${uploading ? this.#progressRing(uploading) : nothing}`
  }

  #document(uploading: OutboxEntry | null) {
    const { message } = this.row
    const name = message.attachment_name!
    return html`<button class="doc" title=${uploading ? t('cancel') : t('openFile', { name })}
      @click=${() => (uploading ? emit(this, 'chat-discard', uploading) : emit(this, 'chat-file', message))}>
      <span>${icon(uploading ? 'close' : 'file')}</span>
      <span><span class="cut">${name}</span><span class="small">${
        uploading ? `${Math.round(uploading.progress * 100)} %` : formatSize(message.attachment_size ?? 0)
      }</span></span>
    </button>`
  }

  #progressRing(uploading: OutboxEntry) {
    const share = `--share: ${Math.max(2, Math.round(uploading.progress * 100))}%`
    return html`<button class="ring" aria-label=${t('cancel')}
      @click=${() => emit(this, 'chat-discard', uploading)}><i .style=${share}>${icon('close')}</i></button>`
  }

  /** Sizes the loaded image and reports by how much it has grown. */
  #onImageLoad = (event: Event): void => {
    const { naturalWidth: width, naturalHeight: height } = event.target as HTMLImageElement
    const { height: before, bottom } = this.getBoundingClientRect()
    const size = { width: Math.min(280, Math.max(96, width), (340 * width) / height), ratio: width / height }
    if (imageSizes.size >= IMAGE_SIZES_MAX) imageSizes.clear()
    imageSizes.set(this.row.message.id, size)
    this.#applySize(size)
    const by = this.getBoundingClientRect().height - before
    if (by !== 0) emit(this, 'chat-resize', { by, bottom })
  }

  /** The bubble is as wide as its image. */
  #applySize(size: ImageSize | undefined): void {
    if (!size) return
    const { style } = (this.getRootNode() as ShadowRoot).host as HTMLElement
    style.setProperty('--width', `${size.width}px`)
    style.setProperty('--shape', String(size.ratio))
  }

  /** The signed URL has expired: another one is requested when the message is visible again. */
  #onImageError = (): void => {
    if (this.#objectUrl) return
    this.url = ''
  }

  async #loadUrl(): Promise<void> {
    try {
      this.url = await this.client.fileUrl(this.row.message)
    } catch {
      this.url = ''
    }
  }
}
