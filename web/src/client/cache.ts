/**
 * What a device can show without a line: the list, and the end of each room's log as it was folded last.
 *
 * It keeps what the reducer keeps, so a room that is taken from here goes on as after a lost line: it
 * subscribes from where its fold ends. In memory it is there for everyone; a store that outlives the page
 * is only used where somebody can sign out, for then it is erased.
 */
import type { Inbox } from './inbox.ts'
import type { Timeline } from './timeline.ts'

/** Rooms kept, those that were used last; also the bound of the store. */
export const KEPT_ROOMS_MAX = 40
/** A store that doesn't answer in this time is done without. */
const READ_MS = 1_000

/** One room's end. */
export interface KeptRoom {
  readonly id: string
  readonly timeline: Timeline
  readonly marks: ReadonlyMap<number, number>
}

export type KeptList = Pick<Inbox, 'rooms' | 'total_unread'>

/** Where the cache outlives the page. It may write when it likes, but all of it on `flush`. */
export interface CacheStore {
  list(): Promise<KeptList | undefined>
  keepList(list: KeptList): void
  room(id: string): Promise<KeptRoom | undefined>
  keepRoom(room: KeptRoom): void
  forget(id: string): Promise<void>
  flush(): Promise<void>
  /** Erases everything, also what isn't written yet. */
  clear(): Promise<void>
}

export class Cache {
  #rooms = new Map<string, KeptRoom>()
  #ended = false

  constructor(private readonly store: Promise<CacheStore> | null) {}

  /** Gives the list as it was last. */
  async list(): Promise<KeptList | null> {
    return (await this.#ask(store => store.list())) ?? null
  }

  keepList(list: KeptList): void {
    void this.#ask(async store => store.keepList(list))
  }

  /** Gives a room as it was last: at once when it is in memory, or when there is no store to look into. */
  room(id: string): KeptRoom | null | Promise<KeptRoom | null> {
    const known = this.#rooms.get(id)
    if (known || !this.store || this.#ended) return known ?? null
    return this.#ask(store => store.room(id)).then(kept => kept ?? null)
  }

  keepRoom(kept: KeptRoom): void {
    if (this.#ended) return
    this.#rooms.delete(kept.id)
    this.#rooms.set(kept.id, kept)
    if (this.#rooms.size > KEPT_ROOMS_MAX) this.#rooms.delete(this.#rooms.keys().next().value!)
    void this.#ask(async store => store.keepRoom(kept))
  }

  /** The room isn't this person's any more. */
  forget(id: string): void {
    this.#rooms.delete(id)
    void this.#ask(store => store.forget(id))
  }

  /** Writes what isn't written yet. */
  async flush(): Promise<void> {
    await this.#ask(store => store.flush())
  }

  /** Erases everything and keeps nothing from now on: the person has signed out. */
  async erase(): Promise<void> {
    const erased = this.#ask(store => store.clear())
    this.#ended = true
    this.#rooms.clear()
    await erased
  }

  /** Asks the store; one that fails or hangs is as good as none. */
  #ask<T>(ask: (store: CacheStore) => Promise<T>): Promise<T | undefined> {
    if (!this.store || this.#ended) return Promise.resolve(undefined)
    const late = new Promise<undefined>(done => setTimeout(done, READ_MS))
    return Promise.race([this.store.then(ask).catch(() => undefined), late])
  }
}
