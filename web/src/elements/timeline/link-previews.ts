/** What the pages say of themselves that a message links to. Loaded once the message is in view. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import type { Message } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { base } from '../shared/theme.ts'
import { type LinkPreview, previewsOf } from './preview-loader.ts'

export class ChatLinkPreviews extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: flex;
        flex-direction: column;
        gap: 4px;
      }
      :host([mine]) {
        align-items: flex-end;
      }
      a {
        display: flex;
        gap: 12px;
        width: min(100%, 400px);
        margin-top: 4px;
        padding: 8px 12px;
        border: 1px solid var(--_line);
        border-radius: 12px;
        background: var(--_surface);
        color: var(--_text);
        text-decoration: none;
      }
      a:hover {
        border-color: var(--_accent);
      }
      span {
        flex: 1;
        min-width: 0;
      }
      b,
      p,
      small {
        display: -webkit-box;
        overflow: hidden;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 2;
        overflow-wrap: anywhere;
      }
      b {
        font-weight: 600;
      }
      p,
      small {
        font-size: 13px;
        color: var(--_text-2);
      }
      small {
        -webkit-line-clamp: 1;
      }
      img {
        flex: none;
        width: 64px;
        height: 64px;
        border-radius: 8px;
        object-fit: cover;
      }
    `,
  ]

  @property({ attribute: false }) message!: Message
  @property({ attribute: false }) client!: Client
  @state() private previews: readonly LinkPreview[] = []
  #observer: IntersectionObserver | undefined

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#observer?.disconnect()
  }

  override updated(changed: PropertyValues<this>): void {
    if (!changed.has('message')) return
    const before = changed.get('message')
    if (before?.id === this.message.id && before.content === this.message.content) return
    this.#observer?.disconnect()
    this.#observer = new IntersectionObserver(entries => {
      if (!entries.some(entry => entry.isIntersecting)) return
      this.#observer?.disconnect()
      void this.#load()
    })
    this.#observer.observe(this)
  }

  override render() {
    return this.previews.map(({ url, title, description, site_name, picture }) =>
      title || description || picture
        ? html`<a href=${url} target="_blank" rel="noopener noreferrer ugc">
            <span dir="auto">
              <small>${site_name ?? new URL(url).host}</small>
              ${title ? html`<b>${title}</b>` : nothing}
              ${description ? html`<p>${description}</p>` : nothing}
            </span>
            ${picture ? html`<img src=${picture} alt="">` : nothing}
          </a>`
        : nothing,
    )
  }

  async #load(): Promise<void> {
    const { message } = this
    const previews = await previewsOf(this.client, message)
    if (this.message === message || this.message.content === message.content) this.previews = previews
  }
}
