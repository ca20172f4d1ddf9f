/** `<chat-badge>`: how many messages are unread, live, for a navigation bar. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { TokenSource } from '../client/token.ts'
import { Connection, HOME } from './connection.ts'
import { property } from './reactive.ts'
import { t } from './texts.ts'
import { base, theme } from './theme.ts'

/** Beyond, the number says no more. */
const COUNT_MAX = 99

export class ChatBadge extends LitElement {
  static override styles = [
    theme,
    base,
    css`
      :host {
        display: inline-block;
        background: none;
      }
      span {
        display: inline-block;
        min-width: 20px;
        padding: 0 6px;
        border-radius: 10px;
        background: var(--_accent);
        color: var(--_on-accent);
        font-size: 12px;
        font-weight: 600;
        line-height: 20px;
        text-align: center;
      }
    `,
  ]

  @property() server = HOME
  @property() token: TokenSource | null = null
  #connection = new Connection(this)

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('token') || changed.has('server')) {
      this.#connection.use(this.token, this.server.replace(/\/$/, ''))
    }
  }

  override render() {
    const unread = this.#connection.client?.inbox.total_unread ?? 0
    if (unread === 0) return nothing
    const shown = unread > COUNT_MAX ? `${COUNT_MAX}+` : unread
    return html`<span part="count" role="img" aria-label=${t('unread', { n: unread })}>${shown}</span>`
  }
}
