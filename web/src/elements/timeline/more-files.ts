/** The files of a message beside its first one, as tiles that open them. Their addresses are asked for when they show. */
import { css, html, LitElement } from 'lit'
import type { Client } from '../../client/client.ts'
import type { Attachment } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { formatSize } from '../shared/file-size.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import type { MessageRow } from './rows.ts'
import { cancelWhenVisible, whenVisible } from './when-visible.ts'

/** The space that it takes is reserved by the message, by the number of files. */
export class ChatMoreFiles extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
      }
      :host(.mine) ul {
        margin-inline-start: auto;
      }
      ul {
        display: grid;
        grid-template-columns: repeat(3, 1fr);
        grid-auto-rows: 84px;
        gap: 4px;
        width: 100%;
        max-width: 280px;
        padding-top: 4px;
      }
      a,
      li > span {
        display: grid;
        place-content: center;
        justify-items: center;
        width: 100%;
        height: 100%;
        padding: 4px;
        border-radius: 10px;
        overflow: hidden;
        background: var(--_surface-2);
        color: var(--_text);
        font-size: 12px;
        text-decoration: none;
      }
      a.picture {
        padding: 0;
      }
      img {
        display: block;
        width: 100%;
        height: 84px;
        object-fit: cover;
      }
      .cut {
        max-width: 72px;
      }
    `,
  ]

  @property({ attribute: false }) row!: MessageRow
  @property({ attribute: false }) client!: Client
  @state() private files: readonly Attachment[] = []

  #loaded = ''

  override willUpdate(): void {
    const { message, pending } = this.row
    if (pending || message.id === this.#loaded) return
    this.#loaded = message.id
    whenVisible(this, () => void this.#load())
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    cancelWhenVisible(this)
  }

  override render() {
    const others = this.row.message.attachments?.slice(1) ?? []
    return html`<ul>${others.map((one, at) => html`<li>${this.#tile(one, this.files[at + 1])}</li>`)}</ul>`
  }

  #tile({ name, size }: Attachment, file: Attachment | undefined) {
    const about = html`${icon('file')}<span class="cut">${name}</span><span class="small">${formatSize(size)}</span>`
    if (!file?.url) return html`<span>${about}</span>`
    const image = file.kind === 'image'
    const title = t(image ? 'openImage' : 'openFile', { name })
    return html`<a class=${image ? 'picture' : ''} href=${this.#address(file.url)} title=${title} aria-label=${title}
      target="_blank" rel="noopener">${
        image
          ? html`<img src=${this.#address(file.preview?.small ?? file.url)} alt="" loading="lazy" />`
          : about
      }</a>`
  }

  #address(url: string): string {
    return new URL(url, this.client.server).href
  }

  async #load(): Promise<void> {
    const { id } = this.row.message
    try {
      const { data } = await this.client.api.GET('/api/chat/messages/{id}/', { params: { path: { id } } })
      this.files = data.attachments
    } catch {
      this.files = []
    }
  }
}
