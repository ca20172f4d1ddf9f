/**
 * Loads the rooms at the top of the list before anyone opens them, so that they are available offline.
 *
 * A room is opened and closed the way a view does it: it resumes from its cached timeline, so the server
 * replays only what is new. Rooms are loaded one at a time, with pauses in between.
 */
import type { Client } from './client.ts'
import type { Room } from './room.ts'
import type { ListedRoom } from './wire.ts'

/** Number of rooms to load. */
const ROOMS_MAX = 12
/** Delay before the first room, plus jitter: clients that reconnect together do not load together. */
const DELAY_MS = 3_000
const JITTER_MS = 7_000
/** Pause between two rooms. */
const PAUSE_MS = 500
/** A room that has not loaded by then is skipped. */
const TIMEOUT_MS = 10_000

export class RoomPrefetcher {
  #timer: ReturnType<typeof setTimeout> | undefined
  /** The time of the last message at which each room was loaded. */
  #prefetched = new Map<string, string>()
  #online = false

  constructor(
    private readonly client: Client,
    private readonly signal: AbortSignal,
  ) {
    client.addEventListener('change', () => this.#onChange(), { signal })
    signal.addEventListener('abort', () => clearTimeout(this.#timer))
    this.#onChange()
  }

  /** Starts once per connection. */
  #onChange(): void {
    const online = this.client.state === 'open' && this.client.inbox.loaded
    if (online === this.#online) return
    this.#online = online
    clearTimeout(this.#timer)
    if (online)
      this.#timer = setTimeout(() => void this.#prefetchAll(), DELAY_MS + this.client.random() * JITTER_MS)
  }

  async #prefetchAll(): Promise<void> {
    const rooms = this.client.inbox.rooms.filter(room => room.is_active).slice(0, ROOMS_MAX)
    for (const room of rooms) {
      if (this.signal.aborted || !this.#online) return
      if (this.#prefetched.get(room.id) === room.last_message_time || (await this.#isCached(room))) continue
      if (!(await this.#prefetch(room))) return
      this.#prefetched.set(room.id, room.last_message_time)
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
    }
  }

  /** Whether the cached timeline contains the last message that the list shows. */
  async #isCached(room: ListedRoom): Promise<boolean> {
    const cached = await this.client.cache.loadRoom(room.id)
    const last = cached?.timeline.entries.findLast(entry => entry.kind === 'message')
    return (
      last?.kind === 'message' && Date.parse(last.message.created_at) >= Date.parse(room.last_message_time)
    )
  }

  /** Loads one room. Returns false on failure; the remaining rooms then wait for the next connection. */
  async #prefetch({ id }: ListedRoom): Promise<boolean> {
    const room = this.client.room(id)
    room.open()
    const loaded = await isLoaded(room)
    room.close()
    return loaded
  }
}

function isLoaded(room: Room): Promise<boolean> {
  return new Promise(resolve => {
    const finish = (loaded: boolean) => {
      clearTimeout(timer)
      room.removeEventListener('change', check)
      resolve(loaded)
    }
    const check = () => {
      if (room.view.timeline || room.view.gone) finish(true)
      else if (room.view.error) finish(false)
    }
    const timer = setTimeout(() => finish(false), TIMEOUT_MS)
    room.addEventListener('change', check)
    check()
  })
}
