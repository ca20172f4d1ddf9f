/** `<chat-badge>`: the live number of unread messages, for a navigation bar. */
import { css, html, LitElement, nothing } from 'lit'
import type { TokenSource } from '../../client/tokens.ts'
import { badgeStyle } from '../shared/badge.ts'
import { ClientController, SCRIPT_ORIGIN } from '../shared/client-controller.ts'
import { property } from '../shared/decorators.ts'
import { t } from '../shared/texts.ts'
import { base, theme } from '../shared/theme.ts'

/** Higher numbers are shown as "99+". */
const COUNT_MAX = 99

export class ChatBadge extends LitElement {
  static override styles = [
    theme,
    base,
    badgeStyle,
    css`
      :host {
        display: inline-block;
        background: none;
      }
      .count {
        display: inline-block;
      }
    `,
  ]

  @property() server = SCRIPT_ORIGIN
  @property() token: TokenSource | null = null
  #controller = new ClientController(this)

  override willUpdate(): void {
    this.#controller.use(this.token, this.server)
  }

  override render() {
    const unread = this.#controller.client?.inbox.total_unread ?? 0
    if (unread === 0) return nothing
    const shown = unread > COUNT_MAX ? `${COUNT_MAX}+` : unread
    return html`<span class="count" part="count" role="img" aria-label=${t('unread', { n: unread })}>${shown}</span>`
  }
}
