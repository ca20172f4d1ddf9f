/** The line above a forwarded message: who wrote it first, and when. */
import { css, html, LitElement } from 'lit'
import type { Message, Participant } from '../../client/wire.ts'
import { property } from '../shared/decorators.ts'
import { formatDateTime } from '../shared/format.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'

export class ChatForwarded extends LitElement {
  static override styles = [
    base,
    css`
      div {
        display: flex;
        align-items: center;
        gap: 4px;
        font-size: 13px;
        color: var(--_text-2);
      }
      svg {
        flex: none;
        width: 16px;
        height: 16px;
      }
    `,
  ]

  @property({ attribute: false }) forwarded!: NonNullable<Message['forwarded']>
  @property({ attribute: false }) people: ReadonlyMap<number, Participant> = new Map()

  override render() {
    const { sender, created_at } = this.forwarded
    const name = nameOf(this.people.get(sender.id)?.user ?? sender)
    return html`<div title=${formatDateTime(created_at)}>${icon('forward')}<span class="cut" dir="auto">${t('forwardedFrom', { name })}</span></div>`
  }
}
