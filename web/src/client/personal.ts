/**
 * What only the user sees, and is told about on all devices: reminders, and messages that are sent later.
 *
 * Both lists are read for each connection, and follow the frames of the user's personal log between two reads.
 */
import { RetryTimer } from './backoff.ts'
import type { Client } from './client.ts'
import { ChatError } from './errors.ts'
import type { PersonalFrame, Reminder, ScheduledMessage } from './wire.ts'

/** Entries per page. The server keeps fewer than two pages of scheduled messages, and two of reminders. */
const PAGE = 100
const PAGES_MAX = 3

/** The two lists, as an immutable value. */
export interface PersonalLists {
  /** The earliest first. */
  readonly reminders: readonly Reminder[]
  /** Those that wait and those that have failed, the earliest first. */
  readonly scheduled: readonly ScheduledMessage[]
}

export const EMPTY_LISTS: PersonalLists = { reminders: [], scheduled: [] }

/** Applies a frame. It has all of its subject, so the last one of several is right. */
export function withPersonalFrame(lists: PersonalLists, frame: PersonalFrame): PersonalLists {
  const { reminders, scheduled } = lists
  switch (frame.type) {
    case 'reminder': {
      const { id, message_id, room_id, at, fired_at } = frame
      return { ...lists, reminders: replaced(reminders, { id, message_id, room_id, at, fired_at }) }
    }
    case 'reminder_removed':
      return { ...lists, reminders: without(reminders, frame.id) }
    case 'scheduled':
      if (frame.state === 'sent') return { ...lists, scheduled: without(scheduled, frame.id) }
      return { ...lists, scheduled: replaced(scheduled, scheduledOf(frame)) }
    case 'scheduled_removed':
      return { ...lists, scheduled: without(scheduled, frame.id) }
    default:
      return lists
  }
}

function scheduledOf(from: ScheduledMessage): ScheduledMessage {
  const { id, room_id, content, reply_to_id, at, client_id, state, error } = from
  return { id, room_id, content, reply_to_id, at, client_id, state, error }
}

function without<T extends { readonly id: string }>(all: readonly T[], id: string): readonly T[] {
  return all.some(one => one.id === id) ? all.filter(one => one.id !== id) : all
}

function replaced<T extends { readonly id: string; readonly at: string }>(
  all: readonly T[],
  one: T,
): readonly T[] {
  return [...all.filter(({ id }) => id !== one.id), one].toSorted(
    (a, b) => Date.parse(a.at) - Date.parse(b.at) || a.id.localeCompare(b.id),
  )
}

/** Events: `change`. */
export class Personal extends EventTarget {
  lists = EMPTY_LISTS
  loaded = false
  error: ChatError | null = null
  #client: Client
  #retry: RetryTimer
  #online = false
  /** Frames that have come while the lists are read. */
  #held: PersonalFrame[] | null = null

  constructor(client: Client) {
    super()
    this.#client = client
    this.#retry = new RetryTimer(() => void this.#load(), client.random)
    client.addEventListener('change', this.#onChange)
    client.addEventListener('frame', this.#onFrame)
    if (client.state === 'open') this.#onChange()
  }

  /** The reminders whose time has come. */
  get fired(): readonly Reminder[] {
    return this.lists.reminders.filter(one => one.fired_at)
  }

  /** The messages that could not be sent. */
  get failed(): readonly ScheduledMessage[] {
    return this.lists.scheduled.filter(one => one.state === 'failed')
  }

  /** Applies a change that the server has confirmed by its answer. */
  apply(frame: PersonalFrame): void {
    this.#held?.push(frame)
    const lists = withPersonalFrame(this.lists, frame)
    if (lists === this.lists) return
    this.lists = lists
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
    this.apply((event as CustomEvent<PersonalFrame>).detail)
  }

  async #load(): Promise<void> {
    const held: PersonalFrame[] = []
    this.#held = held
    try {
      const lists = { reminders: await this.#readReminders(), scheduled: await this.#readScheduled() }
      // Another connection has begun another read.
      if (this.#held !== held) return
      this.#retry.reset()
      this.loaded = true
      this.error = null
      this.lists = held.reduce(withPersonalFrame, lists)
    } catch (cause) {
      if (this.#held !== held) return
      this.error = cause instanceof ChatError ? cause : new ChatError('other', String(cause))
      // A server without these lists is left alone; while there is no connection, the next one reads them.
      if (this.error.retryable && this.#online) this.#retry.schedule(this.error.retry_after_ms)
    }
    this.#held = null
    this.dispatchEvent(new Event('change'))
  }

  async #readReminders(): Promise<readonly Reminder[]> {
    let found: readonly Reminder[] = []
    for (let page = 1; page <= PAGES_MAX; page++) {
      const query = { page, page_size: PAGE }
      const { data } = await this.#client.api.GET('/api/chat/reminders/', { params: { query } })
      for (const { id, message_id, room_id, at, fired_at } of data.results)
        found = replaced(found, { id, message_id, room_id, at, fired_at })
      if (!data.next) break
    }
    return found
  }

  async #readScheduled(): Promise<readonly ScheduledMessage[]> {
    let found: readonly ScheduledMessage[] = []
    for (let page = 1; page <= PAGES_MAX; page++) {
      const query = { page, page_size: PAGE }
      const { data } = await this.#client.api.GET('/api/chat/scheduled/', { params: { query } })
      for (const one of data.results)
        if (one.state !== 'sent') found = replaced(found, scheduledOf({ ...one, room_id: one.room }))
      if (!data.next) break
    }
    return found
  }
}

const known = new WeakMap<Client, Personal>()

/** Returns the lists of a client's user, which follow the client until that stops. */
export function personalOf(client: Client): Personal {
  let personal = known.get(client)
  if (!personal) {
    personal = new Personal(client)
    known.set(client, personal)
  }
  return personal
}
