/** The texts that an edited message has had, the present one first. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { ChatError } from '../../client/errors.ts'
import type { Message } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { formatDateTime } from '../shared/format.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'

interface Version {
  readonly content: string
  readonly edited_at: string
}

export class ChatVersions extends LitElement {
  static override styles = [
    base,
    css`
      .frame {
        max-height: min(560px, 78dvh);
        padding: 16px;
        overflow: auto;
        outline: 0;
      }
      h2 {
        font-weight: 600;
        font-size: 18px;
      }
      li {
        padding: 12px 0;
        border-top: 1px solid var(--_line);
      }
      li:first-child {
        border: 0;
      }
      .text {
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      li:first-child b {
        font-weight: 600;
        color: var(--_text);
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) message!: Message
  @state() private versions: readonly Version[] | null = null
  @state() private error = ''

  override connectedCallback(): void {
    super.connectedCallback()
    void this.#load()
  }

  override render() {
    const { versions } = this
    const [latest, ...earlier] = versions?.toReversed() ?? []
    return html`<chat-sheet .label=${t('versions')}><div class="frame" tabindex="0">
      <h2>${t('versions')}</h2><p class="small" dir="auto">${nameOf(this.message.sender)}</p>
      ${this.error ? html`<p class="danger" role="alert">${this.error}</p>` : nothing}
      ${versions || this.error ? nothing : html`<p class="small" role="status">${t('loading')}</p>`}
      <ul>${latest ? this.#version(latest, true) : nothing}${earlier.map(version => this.#version(version))}</ul>
    </div></chat-sheet>`
  }

  /** Texts are shown as they were typed. */
  #version({ content, edited_at }: Version, isLatest = false) {
    return html`<li><div class="small">${isLatest ? html`<b>${t('latestVersion')}</b> · ` : nothing}
      <time datetime=${edited_at}>${formatDateTime(edited_at)}</time></div><div class="text" dir="auto">${content}</div></li>`
  }

  async #load(): Promise<void> {
    try {
      const path = { id: this.message.id }
      const { data } = await this.client.api.GET('/api/chat/messages/{id}/versions/', { params: { path } })
      this.versions = data
    } catch (cause) {
      const isHidden = cause instanceof ChatError && cause.status === 403
      this.error = isHidden ? t('versionsHidden') : errorText(cause)
    }
  }
}
