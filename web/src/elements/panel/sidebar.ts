/** The sidebar of a conversation, which covers it where space is short: details, search, threads, or one of them. */
import { css, html, LitElement, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import type { Room, RoomView } from '../../client/room.ts'
import { property } from '../shared/decorators.ts'
import type { SidebarContent } from '../shared/overlay-content.ts'

export class ChatSidebar extends LitElement {
  static override styles = css`
    :host {
      display: grid;
      flex: none;
      width: 320px;
      min-height: 0;
      border-inline-start: 1px solid var(--_line);
    }
    :host([wide]) {
      width: 400px;
    }
    @container (max-width: 699px) {
      :host {
        position: absolute;
        inset: 0;
        z-index: 3;
        width: auto !important;
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
  @property({ attribute: false }) content: SidebarContent = 'panel'
  /** A thread needs more space than a list. */
  @property({ type: Boolean, reflect: true }) wide = false

  override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('content')) return
    this.wide = typeof this.content !== 'string'
    if (this.wide || this.content === 'threads') void import('../define-threads.ts')
  }

  override render() {
    const { client, room, view, content } = this
    if (content === 'panel')
      return html`<chat-panel .client=${client} .room=${room} .view=${view}></chat-panel>`
    if (content === 'search')
      return html`<chat-search .client=${client} .roomId=${room.id} .view=${view}></chat-search>`
    if (content === 'threads')
      return html`<chat-room-threads .client=${client} .roomId=${room.id}></chat-room-threads>`
    return html`<chat-thread .client=${client} .room=${room} .view=${view} .rootId=${content.thread}></chat-thread>`
  }
}
