/**
 * `<chat-app>`: the tag of the whole chat, which brings the rest once it is on a page.
 *
 * So it is defined wherever the script is, also in a host's shadow roots, where nobody can look for it.
 */
import { css, html, LitElement } from 'lit'
import type { TokenSource } from '../client/token.ts'
import { HOME } from './connection.ts'
import { property } from './reactive.ts'
import { base, theme } from './theme.ts'

export class ChatAppTag extends LitElement {
  static override styles = [
    theme,
    base,
    css`
      :host {
        display: block;
        height: 600px;
        overflow: hidden;
      }
    `,
  ]

  @property() server = HOME
  /** A token of the host; without one, `accounts` offers to sign in. */
  @property() token: TokenSource | null = null
  @property({ type: Boolean }) accounts = false
  /** The address of the page follows what is shown. */
  @property({ type: Boolean }) routed = false

  override connectedCallback(): void {
    super.connectedCallback()
    void import('./define-app.ts')
  }

  override render() {
    return html`<chat-app-panes .server=${this.server} .token=${this.token} ?accounts=${this.accounts}
      ?routed=${this.routed}></chat-app-panes>`
  }
}
