/** What can be opened over a conversation, and beside it. Types only. */
import type { Message } from '../../client/wire.ts'

export type OverlayContent =
  /** The menu of a message, at a point. */
  | { readonly kind: 'actions'; readonly message: Message; readonly x: number; readonly y: number }
  | { readonly kind: 'image'; readonly message: Message }
  /** The texts that a message has had. */
  | { readonly kind: 'versions'; readonly message: Message }
  /** The rooms to which a message can be forwarded. */
  | { readonly kind: 'forward'; readonly message: Message }
  /** Why the user was told of a message, or was not. */
  | { readonly kind: 'why'; readonly message: Message }
  /** Who has reacted to a message. */
  | { readonly kind: 'reactions'; readonly message: Message }
  | { readonly kind: 'attach'; readonly button: DOMRect }
  /** The times at which what is written can be sent later. */
  | { readonly kind: 'later'; readonly button: DOMRect }
  /** The ways in which what is written can be sent as urgent. */
  | { readonly kind: 'urgent'; readonly button: DOMRect }
  /** The form for a new card. */
  | { readonly kind: 'card'; readonly card: 'checklist' | 'poll' }
  | { readonly kind: 'scheduled' }
  | { readonly kind: 'reminders' }
  /** The emoji picker, for the text that is written or for a reaction to a message. */
  | { readonly kind: 'emoji'; readonly button: DOMRect; readonly message?: Message }

/** What the sidebar of a conversation shows; a thread is named by its root. */
export type SidebarContent = 'panel' | 'search' | 'threads' | { readonly thread: string }
