/** The files that wait in the composer to be sent: pictures as they look, others by name and size. */
import { css, html, LitElement } from 'lit'
import { icon } from './icons.ts'
import { property } from './reactive.ts'
import { t } from './texts.ts'
import { base } from './theme.ts'
import { sizeOf } from './when.ts'

export class ChatChosen extends LitElement {
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
  /** Takes one of them out. */
  @property({ attribute: false }) drop: (file: File) => void = () => {}
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
        <div><div class="cut">${file.name}</div><div class="small">${sizeOf(file.size)}</div></div>
        <button class="icon" aria-label=${`${t('discard')} ${file.name}`}
          @click=${() => this.drop(file)}>${icon('close')}</button></li>`,
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
