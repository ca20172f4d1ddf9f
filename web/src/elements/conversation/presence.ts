/** The line below the name of a room: who is typing, or how many are there. */
import { css, html, LitElement } from 'lit'
import type { RoomView } from '../../client/room.ts'
import { property } from '../shared/decorators.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

export class ChatPresence extends LitElement {
  static override styles = [
    base,
    css`
      .live {
        color: var(--_accent);
      }
    `,
  ]

  @property({ attribute: false }) me: number | null = null
  @property({ attribute: false }) view!: RoomView

  override render() {
    const typing = typingText(this.view)
    return html`<div class="cut ${typing ? 'live' : ''}">${typing || presenceText(this.view, this.me)}</div>`
  }
}

/** Returns who is typing, or an empty string. */
export function typingText({ typing }: RoomView): string {
  const names = [...typing.values()].map(name => name.split(' ')[0]!)
  if (names.length === 1) return t('typing1', { name: names[0]! })
  if (names.length === 2) return t('typing2', { name: names[0]!, other: names[1]! })
  return names.length > 2 ? t('typingMany', { n: names.length }) : ''
}

function presenceText({ timeline, online }: RoomView, me: number | null): string {
  if (!timeline) return ''
  const others = [...timeline.people.keys()].filter(id => id !== me && online.has(id)).length
  if (timeline.room.room_type === 'direct') return others ? t('online') : ''
  const { size } = timeline.people
  const people = size === 1 ? t('people1') : t('people', { n: size })
  return others ? `${people}, ${t('onlineCount', { n: others })}` : people
}
