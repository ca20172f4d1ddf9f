/** What a push says, and how it is shown. It needs no worker, so that it can be tested without one. */

/** What the user is told of a room, as a push or as a message of the page. */
export interface NotificationText {
  readonly type: 'notification'
  readonly id: string
  readonly kind: string
  readonly room_id: string
  /** The position of the message; 0 for none. */
  readonly seq: number
  readonly title: string
  readonly body: string
  readonly urgent?: boolean
  /** The number for the app's icon; a message of the page has none. */
  readonly badge?: number
}

/** A notification has been read on some device, or there is nothing to tell any more. */
export interface GoneText {
  readonly type: 'notification_gone'
  readonly ids: readonly string[]
  readonly badge?: number
}

export type PushText = NotificationText | GoneText

/** What a shown notification carries. */
export interface NoticeData {
  readonly id: string
  readonly room: string
  readonly seq: number
  /** When it was shown, and when the device has sounded last for the room. */
  readonly at_ms: number
  readonly alerted_ms: number
}

/** The options of `showNotification`, with those that the library of types leaves out. */
export interface NoticeOptions {
  readonly body: string
  readonly tag: string
  readonly icon: string
  readonly badge: string
  readonly data: NoticeData
  readonly timestamp: number
  readonly renotify: boolean
  readonly requireInteraction: boolean
}

/** In one room the device sounds again after this time at the earliest, except for what is meant for its user. */
const QUIET_MS = 60_000
const PAGE = '/chat/'

/** Reads a push. Null for what this version does not know. */
export function parsePush(text: string): PushText | null {
  let value: Partial<NotificationText & { ids: unknown }> | null
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (value === null || typeof value !== 'object') return null
  const type: unknown = value.type
  if (type === 'notification_gone' && Array.isArray(value.ids)) return value as unknown as GoneText
  const { id, room_id, title, body, seq } = value
  const isShown = [id, room_id, title, body].every(one => typeof one === 'string') && Number.isInteger(seq)
  return type === 'notification' && isShown ? (value as NotificationText) : null
}

/**
 * Returns how a notification is shown: in place of the room's last one, `before`, and with a new alert only where that
 * is worth it.
 */
export function noticeOf(
  { id, kind, room_id, seq, title, body, urgent }: NotificationText,
  before: NoticeData | undefined,
  now_ms: number,
): { readonly title: string; readonly options: NoticeOptions } {
  const isNew = !before || before.id !== id || before.seq !== seq
  const isMeant = Boolean(urgent) || kind === 'mention' || kind === 'reminder'
  const alerts = isNew && (isMeant || !before || now_ms - before.alerted_ms >= QUIET_MS)
  return {
    title,
    options: {
      body,
      tag: room_id,
      icon: `${PAGE}icon-192.png`,
      badge: `${PAGE}badge-96.png`,
      data: {
        id,
        room: room_id,
        seq,
        at_ms: now_ms,
        alerted_ms: alerts || !before ? now_ms : before.alerted_ms,
      },
      timestamp: now_ms,
      renotify: alerts,
      requireInteraction: Boolean(urgent),
    },
  }
}

/** Returns the address of what a notification is about. */
export function pathOf({ room, seq }: NoticeData): string {
  return `${PAGE}r/${room}${seq ? `/${seq}` : ''}`
}

/** Whether an address is the page's. */
export function isPage(address: string): boolean {
  return new URL(address).pathname.startsWith(PAGE)
}

/** Whether the browser ends a subscription whose pushes show nothing, as Safari does. */
export function hasToShow(userAgent: string): boolean {
  return userAgent.includes('AppleWebKit') && !/Chrome|Chromium/.test(userAgent)
}
