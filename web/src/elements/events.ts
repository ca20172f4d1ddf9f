/** The events that elements send up, with what they carry. */
import type { OutboxEntry } from '../client/outbox.ts'
import type { Message } from '../client/wire.ts'

/** Public ones leave the tag; all others stay between the elements. */
export interface ChatEvents {
  'unread-changed': { unread: number }
  'message-sent': { room: string; text: string }
  'auth-needed': null
  'chat-send': { text: string; files: File[] }
  'chat-edit-last': null
  'chat-reply': Message
  'chat-actions': { message: Message; x: number; y: number; touch: boolean }
  'chat-jump': { id: string }
  'chat-file': Message
  'chat-retry': OutboxEntry
  'chat-discard': OutboxEntry
  'chat-cancel': null
  'chat-back': null
  'chat-close': null
  'chat-open-room': { id: string; seq?: number }
  'chat-signed-in': { access: string; refresh: string }
  'chat-sign-out': null
  'chat-new-room': null
  'chat-pick': { value: string; at?: DOMRect }
  'chat-side': { open: boolean }
  'chat-grew': { by: number; bottom: number }
}

export type ChatEvent<K extends keyof ChatEvents> = CustomEvent<ChatEvents[K]>

/** Sends an event up through all shadow roots. */
export function emit<K extends keyof ChatEvents>(from: EventTarget, type: K, detail: ChatEvents[K]): void {
  from.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }))
}
