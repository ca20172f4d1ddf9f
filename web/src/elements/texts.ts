/**
 * Every text that a person reads, in one table; another language replaces it whole or in part.
 *
 * What is only needed by parts that are loaded later stands in `texts-more.ts` and comes with them.
 */
import type { MORE } from './texts-more.ts'

const FIRST = {
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
  made: 'The room was created',
  joined: '{name} joined',
  left: '{name} left',
  renamed: 'The room was renamed to “{name}”',
  changedLine: 'The room was changed',
  folded: '{n} more changes',
  loadOlder: 'Load older messages',
  loadFailed: 'The messages could not be loaded.',
  tryAgain: 'Try again',
  retrying: 'Trying again…',
  // Messages
  waiting: 'Waiting to be sent',
  sent: 'Sent',
  readBy: 'Read by {names}',
  failed: 'Not sent.',
  unsent: 'Not sent: {n}',
  discard: 'Discard',
  cancel: 'Cancel',
  actions: 'Message actions',
  reply: 'Reply',
  openImage: 'Open picture {name}',
  openFile: 'Download {name}',
  file: 'Attachment',
  // Why something failed
  error_archived: 'The room is archived.',
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
  tooLong: '{n} characters too long',
  save: 'Save',
  close: 'Close',
  // Header and connection
  back: 'Back',
  details: 'People and settings',
  searchRoom: 'Search in this room',
  online: 'online',
  people1: '1 person',
  people: '{n} people',
  onlineCount: '{n} online',
  typing1: '{name} is typing',
  typing2: '{name} and {other} are typing',
  typingMany: '{n} people are typing',
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

export type TextKey = keyof typeof FIRST | keyof typeof MORE
export type Texts = Partial<Record<TextKey, string>>

const english: Texts = { ...FIRST }
let others: Texts = {}

/** Puts another language in the place of English; what it leaves out stays English. */
export function setTexts(table: Texts): void {
  others = table
}

/** Adds the texts of a part that has been loaded. */
export function addTexts(table: Texts): void {
  Object.assign(english, table)
}

/** Gives the text for `key` with its `{places}` filled. */
export function t(key: TextKey, places?: Readonly<Record<string, string | number>>): string {
  const text = others[key] ?? english[key] ?? ''
  return places ? text.replace(/\{(\w+)\}/g, (whole, name: string) => String(places[name] ?? whole)) : text
}

/** Says why something failed, for the codes of the wire. */
export function whyFailed(code: string): string {
  return t(`error_${code}` as TextKey) || t('error_other')
}
