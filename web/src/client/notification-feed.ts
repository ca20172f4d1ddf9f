/**
 * What the user was told and has not read: the list behind the bell, the same on all devices.
 *
 * It is read for each connection, and follows the frames of the user's personal log between two reads.
 */
import { RetryTimer } from './backoff.ts'
import type { Client } from './client.ts'
import { ChatError } from './errors.ts'
import type { NotificationFrame, ServerFrame } from './wire.ts'

/** Entries per page, and the maximum number of pages; both bound the list. */
const PAGE = 100
const PAGES_MAX = 3
const KEPT_MAX = PAGE * PAGES_MAX

/** A notification in the list, with the time at which the user was told last. */
export type UnreadNotification = Omit<NotificationFrame, 'type'> & { readonly at: string }

/** What was told last comes first. */
export type UnreadNotifications = readonly UnreadNotification[]

/** Applies a frame that came at `at`. Frames about anything else change nothing. */
export function withNotificationFrame(
  list: UnreadNotifications,
  frame: ServerFrame,
  at: string,
): UnreadNotifications {
  if (frame.type === 'notification') {
    const { id, kind, room_id, seq, message_id, title, body, urgent } = frame
    const told = { id, kind, room_id, seq, message_id, title, body, urgent, at }
    return [told, ...list.filter(one => one.id !== id)].slice(0, KEPT_MAX)
  }
  if (frame.type !== 'notification_gone') return list
  const left = list.filter(one => !frame.ids.includes(one.id))
  return left.length === list.length ? list : left
}

/** Returns the ids of what is read if the user has read up to `id`: that one, and what was told before it. */
export function idsUpTo(list: UnreadNotifications, id: string): string[] {
  const at = list.findIndex(one => one.id === id)
  return at < 0 ? [] : list.slice(at).map(one => one.id)
}

/** Events: `change`; `read` once the list has been read from the server. */
export class NotificationFeed extends EventTarget {
  list: UnreadNotifications = []
  loaded = false
  error: ChatError | null = null
  /** When the last read began, by the device's clock. */
  readAt_ms = 0
  #client: Client
  #retry: RetryTimer
  #online = false
  /** Frames that have come while the list is read, with their times. */
  #held: [ServerFrame, string][] | null = null

  constructor(client: Client) {
    super()
    this.#client = client
    this.#retry = new RetryTimer(() => void this.#load(), client.random)
    client.addEventListener('change', this.#onChange)
    client.addEventListener('frame', this.#onFrame)
    if (client.state === 'open') this.#onChange()
  }

  /** Takes a notification, and what was told before it, as read. The messages stay unread. @throws ChatError */
  async readUpTo(id: string): Promise<void> {
    await this.#client.api.POST('/api/chat/notifications/read/', { body: { up_to: id } })
    // The frames about it follow; until then the answer shows.
    this.#apply({ type: 'notification_gone', ids: idsUpTo(this.list, id) })
  }

  #apply(frame: ServerFrame): void {
    const at = new Date().toISOString()
    this.#held?.push([frame, at])
    const list = withNotificationFrame(this.list, frame, at)
    if (list === this.list) return
    this.list = list
    this.dispatchEvent(new Event('change'))
  }

  #onChange = (): void => {
    const { state } = this.#client
    if (state === 'closed') {
      this.#client.removeEventListener('change', this.#onChange)
      this.#client.removeEventListener('frame', this.#onFrame)
      this.#retry.reset()
    }
    const online = state === 'open'
    if (online && !this.#online) void this.#load()
    this.#online = online
  }

  #onFrame = (event: Event): void => {
    this.#apply((event as CustomEvent<ServerFrame>).detail)
  }

  async #load(): Promise<void> {
    const held: [ServerFrame, string][] = []
    this.#held = held
    this.readAt_ms = Date.now()
    try {
      const list = await this.#read()
      // Another connection has begun another read.
      if (this.#held !== held) return
      this.#retry.reset()
      this.loaded = true
      this.error = null
      this.list = held.reduce((before, [frame, at]) => withNotificationFrame(before, frame, at), list)
    } catch (cause) {
      if (this.#held !== held) return
      this.error = cause instanceof ChatError ? cause : new ChatError('other', String(cause))
      // A server without notifications is left alone; while there is no connection, the next one reads them.
      if (this.error.retryable && this.#online) this.#retry.schedule(this.error.retry_after_ms)
    }
    this.#held = null
    this.dispatchEvent(new Event('change'))
    if (!this.error) this.dispatchEvent(new Event('read'))
  }

  async #read(): Promise<UnreadNotifications> {
    const found = new Map<string, UnreadNotification>()
    for (let page = 1; page <= PAGES_MAX; page++) {
      const query = { unread: true, page, page_size: PAGE }
      const { data } = await this.#client.api.GET('/api/chat/notifications/', { params: { query } })
      for (const { id, kind, room_id, seq, message_id, title, body, urgent, updated_at: at } of data.results)
        if (!found.has(id)) found.set(id, { id, kind, room_id, seq, message_id, title, body, urgent, at })
      if (!data.next) break
    }
    return [...found.values()]
  }
}

const known = new WeakMap<Client, NotificationFeed>()

/** Returns the feed of a client's user, which follows the client until that stops. */
export function feedOf(client: Client): NotificationFeed {
  let feed = known.get(client)
  if (!feed) {
    feed = new NotificationFeed(client)
    known.set(client, feed)
  }
  return feed
}
