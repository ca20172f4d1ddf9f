/**
 * All texts that users read, in one table. Another language replaces all or some of them.
 *
 * The texts of what is loaded on demand are in the files `texts-*.ts` beside this one.
 */
import { ChatError } from '../../client/errors.ts'
import type { ATTACH_TEXTS } from './texts-attach.ts'
import type { CARDS_TEXTS } from './texts-cards.ts'
import type { COMPOSING_TEXTS } from './texts-composing.ts'
import type { LATER_TEXTS } from './texts-later.ts'
import type { LAZY_TEXTS } from './texts-lazy.ts'
import type { NOTIFICATION_TEXTS } from './texts-notifications.ts'
import type { PARTS_TEXTS } from './texts-parts.ts'
import type { ROOM_TEXTS } from './texts-room.ts'
import type { THREADS_TEXTS } from './texts-threads.ts'
import type { URGENT_TEXTS } from './texts-urgent.ts'

const EAGER_TEXTS = {
  // Timeline
  today: 'Today',
  yesterday: 'Yesterday',
  newLine: 'New',
  newMessages: 'New messages: {n}',
  toEnd: 'Go to the newest message',
  timeline: 'Messages',
  emptyRoom: 'No messages yet',
  emptyRoomHint: 'Write the first one.',
  deleted: 'This message was deleted',
  removed: 'This message was removed by an admin',
  edited: 'edited',
  you: 'You',
  bot: 'Bot',
  made: 'The room was created',
  joined: '{name} joined',
  left: '{name} left',
  changedLine: 'The room was changed',
  folded: '{n} more changes',
  loadOlder: 'Load older messages',
  loadFailed: 'The messages could not be loaded.',
  tryAgain: 'Try again',
  retrying: 'Trying again…',
  // Messages
  waiting: 'Waiting to be sent',
  sent: 'Sent',
  unsent: 'Not sent: {n}',
  cancel: 'Cancel',
  actions: 'Message actions',
  file: 'Attachment',
  // Errors
  error_archived: 'The room is archived.',
  error_blocked: 'One of you has blocked the other.',
  error_forbidden: 'You are not allowed to do that.',
  error_invalid: 'It is too long, or this kind of file is not allowed.',
  error_too_large: 'The file is too large.',
  error_rejected: 'It was refused.',
  error_overloaded: 'The server is busy.',
  error_offline: 'There is no connection.',
  error_origin: 'The chat does not allow this page ({origin}).',
  error_other: 'Something went wrong.',
  // Composer
  write: 'Message',
  send: 'Send',
  attach: 'Attach a file',
  emoji: 'Emoji',
  replyTo: 'Reply to {name}',
  editing: 'Edit message',
  save: 'Save',
  // Header and connection
  back: 'Back',
  details: 'People and settings',
  searchRoom: 'Search in this room',
  reconnecting: 'Reconnecting…',
  offline: 'You are offline. Messages will be sent when you are back.',
  archivedRoom: 'This room is archived.',
  unarchive: 'Unarchive',
  goneRoom: 'You are no longer in this room.',
  noRoom: 'Conversation not found',
  noRoomHint: 'It does not exist, or you are not in it.',
  signedOut: 'Please sign in again.',
  chat: 'Chat',
  unread: 'Unread messages: {n}',
  loading: 'Loading…',
}

type LazyTexts = typeof LAZY_TEXTS &
  typeof ATTACH_TEXTS &
  typeof PARTS_TEXTS &
  typeof COMPOSING_TEXTS &
  typeof THREADS_TEXTS &
  typeof CARDS_TEXTS &
  typeof LATER_TEXTS &
  typeof NOTIFICATION_TEXTS &
  typeof ROOM_TEXTS &
  typeof URGENT_TEXTS
export type TextKey = keyof typeof EAGER_TEXTS | keyof LazyTexts
export type Texts = Partial<Record<TextKey, string>>

const english: Texts = { ...EAGER_TEXTS }
let translated: Texts = {}

/** Replaces English by another language; texts that `table` leaves out remain English. */
export function setTexts(table: Texts): void {
  translated = table
}

/** Adds the texts of elements that have been loaded. */
export function addTexts(table: Texts): void {
  Object.assign(english, table)
}

/** Returns the text for `key` with its `{placeholders}` filled in. */
export function t(key: TextKey, values?: Readonly<Record<string, string | number>>): string {
  const text = translated[key] ?? english[key] ?? ''
  return values ? text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole)) : text
}

/** Returns the text for an error code. */
export function codeText(code: string): string {
  return t(`error_${code}` as TextKey) || t('error_other')
}

/** Returns the text for an error that a call has thrown. */
export function errorText(cause: unknown): string {
  return codeText(cause instanceof ChatError ? cause.code : 'other')
}
