/** What stands beside a conversation, or over it where there is no room beside: the panel or the search. */
import { css, html, LitElement } from 'lit'
import type { Client } from '../client/client.ts'
import type { Room, RoomView } from '../client/room.ts'
import { property } from './reactive.ts'

export type Side = 'panel' | 'search'

export class ChatSide extends LitElement {
  static override styles = css`
    :host {
      display: grid;
      flex: none;
      width: 320px;
      min-height: 0;
      border-inline-start: 1px solid var(--_line);
    }
    @container (max-width: 699px) {
      :host {
        position: absolute;
        inset: 0;
        z-index: 3;
        width: auto;
        border: 0;
        background: var(--_surface);
        animation: slide 180ms ease-out;
      }
    }
    @media (prefers-reduced-motion: reduce) {
      :host {
        animation: none;
      }
    }
    @keyframes slide {
      from {
        transform: translateX(40%);
        opacity: 0;
      }
    }
  `

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) view!: RoomView
  @property() side: Side = 'panel'

  override render() {
    return this.side === 'panel'
      ? html`<chat-panel .client=${this.client} .room=${this.room} .view=${this.view}></chat-panel>`
      : html`<chat-search .client=${this.client} .roomId=${this.room.id}></chat-search>`
  }
}
