/** The drop zone that covers a conversation while files are dragged over it. */
import { css, html, LitElement } from 'lit'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

export class ChatDropZone extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        position: absolute;
        inset: 8px;
        z-index: 5;
        display: grid;
        place-items: center;
        border: 2px dashed var(--_accent);
        border-radius: 16px;
        background: color-mix(in srgb, var(--_surface) 88%, transparent);
        font-weight: 600;
        pointer-events: none;
      }
    `,
  ]

  override render() {
    return html`<span>${t('dropHere')}</span>`
  }
}
