/** What opens over a conversation: a message's actions, what to attach, emoji, a picture. */
import { html, LitElement } from 'lit'
import type { Client } from '../client/client.ts'
import type { RoomView } from '../client/room.ts'
import type { Message } from '../client/wire.ts'
import { property } from './reactive.ts'

export type Over =
  | { readonly kind: 'actions'; readonly message: Message; readonly x: number; readonly y: number }
  | { readonly kind: 'picture'; readonly message: Message }
  | { readonly kind: 'attach' | 'emoji'; readonly at: DOMRect }

export class ChatOver extends LitElement {
  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) view!: RoomView
  @property({ attribute: false }) over!: Over

  override render() {
    const { over, client } = this
    switch (over.kind) {
      case 'actions':
        return html`<chat-actions .message=${over.message} .view=${this.view} .me=${client.me} .anchor=${over}></chat-actions>`
      case 'picture':
        return html`<chat-viewer .client=${client} .message=${over.message} .view=${this.view}></chat-viewer>`
      default:
        return html`<chat-attach .kind=${over.kind} .at=${over.at}></chat-attach>`
    }
  }
}
