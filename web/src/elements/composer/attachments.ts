/** The files that will be sent with the message, with a preview of images. */
import { css, html, LitElement } from 'lit'
import { property } from '../shared/decorators.ts'
import { formatSize } from '../shared/file-size.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

export class ChatAttachments extends LitElement {
  static override styles = [
    base,
    css`
      ul {
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
        max-height: 30vh;
        padding-bottom: 8px;
        overflow: auto;
      }
      li {
        display: flex;
        align-items: center;
        gap: 12px;
        max-width: 100%;
        padding-inline-start: 4px;
        border-radius: 12px;
        background: var(--_surface-2);
        font-size: 13px;
      }
      li > :first-child {
        display: grid;
        place-items: center;
        flex: none;
        width: 40px;
        height: 40px;
        border-radius: 10px;
        object-fit: cover;
        color: var(--_accent);
      }
      div {
        min-width: 0;
        padding-block: 4px;
      }
    `,
  ]

  @property({ attribute: false }) files: readonly File[] = []
  @property({ attribute: false }) onRemove: (file: File) => void = () => {}
  #urls = new Map<File, string>()

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    for (const url of this.#urls.values()) URL.revokeObjectURL(url)
    this.#urls.clear()
  }

  override render() {
    return html`<ul>${this.files.map(
      file => html`<li>${
        file.type.startsWith('image/')
          ? html`<img src=${this.#url(file)} alt="" />`
          : html`<span>${icon('file')}</span>`
      }
        <div><div class="cut">${file.name}</div><div class="small">${formatSize(file.size)}</div></div>
        <button class="icon" aria-label=${`${t('discard')} ${file.name}`}
          @click=${() => this.onRemove(file)}>${icon('close')}</button></li>`,
    )}</ul>`
  }

  #url(file: File): string {
    let url = this.#urls.get(file)
    if (!url) {
      url = URL.createObjectURL(file)
      this.#urls.set(file, url)
    }
    return url
  }
}
