/**
 * What a device can show offline: the room list, and the newest part of each room's timeline.
 *
 * The cache stores what the reducer produces, so a room restored from it resumes as after a lost connection:
 * it subscribes from the position at which its timeline ends. Everyone has the cache in memory. A persistent
 * store is used only where the user can sign out, because signing out erases it.
 */
import type { Inbox } from './inbox.ts'
import type { Timeline } from './timeline.ts'

/** Number of rooms cached, the most recently used ones; also the bound of the store. */
export const CACHED_ROOMS_MAX = 40
/** A store that does not answer within this time is ignored. */
const READ_MS = 1_000

/** The newest part of one room. */
export interface CachedRoom {
  readonly id: string
  readonly timeline: Timeline
  readonly marks: ReadonlyMap<number, number>
}

export type CachedList = Pick<Inbox, 'rooms' | 'total_unread'>

/** A persistent store. It may delay its writes; `flush` writes all of them. */
export interface CacheStore {
  loadList(): Promise<CachedList | undefined>
  saveList(list: CachedList): void
  loadRoom(id: string): Promise<CachedRoom | undefined>
  saveRoom(room: CachedRoom): void
  removeRoom(id: string): Promise<void>
  flush(): Promise<void>
  /** Erases everything, including what is not yet written. */
  clear(): Promise<void>
}

export class RoomCache {
  #rooms = new Map<string, CachedRoom>()
  #erased = false
  #store: Promise<CacheStore> | null

  constructor(store: Promise<CacheStore> | null) {
    this.#store = store
  }

  async loadList(): Promise<CachedList | null> {
    return (await this.#ask(store => store.loadList())) ?? null
  }

  saveList(list: CachedList): void {
    void this.#ask(async store => store.saveList(list))
  }

  /** Returns a cached room: synchronously if it is in memory, or if there is no store to read from. */
  loadRoom(id: string): CachedRoom | null | Promise<CachedRoom | null> {
    const cached = this.#rooms.get(id)
    if (cached || !this.#store || this.#erased) return cached ?? null
    return this.#ask(store => store.loadRoom(id)).then(stored => stored ?? null)
  }

  saveRoom(room: CachedRoom): void {
    if (this.#erased) return
    this.#rooms.delete(room.id)
    this.#rooms.set(room.id, room)
    if (this.#rooms.size > CACHED_ROOMS_MAX) this.#rooms.delete(this.#rooms.keys().next().value!)
    void this.#ask(async store => store.saveRoom(room))
  }

  /** Removes a room that the user may no longer see. */
  removeRoom(id: string): void {
    this.#rooms.delete(id)
    void this.#ask(store => store.removeRoom(id))
  }

  async flush(): Promise<void> {
    await this.#ask(store => store.flush())
  }

  /** Erases everything and stores nothing from then on. Called when the user signs out. */
  async erase(): Promise<void> {
    const erased = this.#ask(store => store.clear())
    this.#erased = true
    this.#rooms.clear()
    await erased
  }

  /** Queries the store; one that fails or hangs counts as empty. */
  #ask<T>(query: (store: CacheStore) => Promise<T>): Promise<T | undefined> {
    if (!this.#store || this.#erased) return Promise.resolve(undefined)
    const timeout = new Promise<undefined>(resolve => setTimeout(resolve, READ_MS))
    return Promise.race([this.#store.then(query).catch(() => undefined), timeout])
  }
}
