/**
 * `<chat-app>`: the whole chat.
 *
 * The tag itself is small and always defined, so it also works in a shadow root of the host page; it loads
 * its content when it is connected.
 */
import { css, html, LitElement } from 'lit'
import type { TokenSource } from '../../client/tokens.ts'
import { SCRIPT_ORIGIN } from '../shared/client-controller.ts'
import { property } from '../shared/decorators.ts'
import { base, theme } from '../shared/theme.ts'

export class ChatApp extends LitElement {
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

  @property() server = SCRIPT_ORIGIN
  @property() token: TokenSource | null = null
  /** Offers to sign in to a built-in account unless there is a token. */
  @property({ type: Boolean }) accounts = false
  /** The address of the page follows what is shown. */
  @property({ type: Boolean }) routed = false

  override connectedCallback(): void {
    super.connectedCallback()
    void import('../define-app.ts')
  }

  override render() {
    return html`<chat-app-panes .server=${this.server} .token=${this.token} ?accounts=${this.accounts}
      ?routed=${this.routed}></chat-app-panes>`
  }
}
