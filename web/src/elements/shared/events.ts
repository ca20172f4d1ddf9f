/** The events that elements emit, with their details. */
import type { OutboxEntry } from '../../client/outbox.ts'
import type { Message, SentMentions } from '../../client/wire.ts'
import type { OverlayContent, SidebarContent } from './overlay-content.ts'

/** The first three are public; all others are internal to the elements. */
export interface ChatEvents {
  'unread-changed': { unread: number }
  'message-sent': { room: string; text: string }
  'auth-needed': null
  /** `mentions` are added by the area of the composer, which finds them in the text. */
  'chat-send': { text: string; files: File[]; mentions?: SentMentions }
  'chat-parts': { texts: string[]; files: File[] }
  'chat-edit-last': null
  'chat-reply': Message
  'chat-edit': Message
  'chat-overlay': OverlayContent
  'chat-jump': { id: string }
  'chat-file': Message
  'chat-retry': OutboxEntry
  'chat-discard': OutboxEntry
  'chat-cancel': null
  'chat-back': null
  'chat-close': null
  'chat-open-room': { id: string; seq?: number; thread?: string }
  'chat-signed-in': { access: string; refresh: string }
  'chat-sign-out': null
  'chat-new-room': null
  'chat-select': { value: string }
  'chat-typing': { typing: boolean }
  'chat-sidebar': { open: boolean }
  'chat-aside': SidebarContent
  'chat-resize': { by: number; bottom: number }
}

export type ChatEvent<K extends keyof ChatEvents> = CustomEvent<ChatEvents[K]>

/** Dispatches an event that bubbles through all shadow roots. */
export function emit<K extends keyof ChatEvents>(from: EventTarget, type: K, detail: ChatEvents[K]): void {
  from.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }))
}
