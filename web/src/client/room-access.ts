/**
 * What the user may do in a room at the moment, and when slow mode lets them write next.
 *
 * The server says so on each subscription. Whatever changes it afterwards, a setting or the user's role, is
 * followed by asking again.
 */
import type { Client } from './client.ts'
import type { Room } from './room.ts'
import type { ErrorFrame, Message, ServerFrame } from './wire.ts'

/** What the server tells apart. */
export type Capability = 'post' | 'react' | 'pin' | 'urgent' | 'moderate' | 'manage_participants' | 'manage'

/** The part of an answer that says it. */
interface Answer {
  readonly capabilities?: readonly string[] | undefined
  readonly next_post_at?: string | null | undefined
}

const accesses = new WeakMap<Room, RoomAccess>()

/** Returns the access to a room that is on the screen, or undefined if it is not yet known. */
export function accessOf(room: Room): RoomAccess | undefined {
  return accesses.get(room)
}

/** Events: `change`. */
export class RoomAccess extends EventTarget {
  /** Returns the access to a room, which all who show the room share. Each of them has to stop it. */
  static of(client: Client, room: Room): RoomAccess {
    const known = accesses.get(room)
    if (!known) return new RoomAccess(client, room)
    known.#holders++
    return known
  }

  /** Null while it is not known, and on older servers. */
  capabilities: ReadonlySet<string> | null = null
  /** From when on the user can write, by the device's clock. */
  nextPostAt_ms = 0
  #holders = 1
  #ended = new AbortController()
  #loading = false
  /** What is being loaded may be outdated already. */
  #again = false

  constructor(
    private readonly client: Client,
    private readonly room: Room,
    private readonly now: () => number = Date.now,
  ) {
    super()
    accesses.set(room, this)
    if (room.subscription) this.#take(room.subscription)
    const onFrame = (event: Event) => this.#onFrame((event as CustomEvent<ServerFrame>).detail)
    client.addEventListener('frame', onFrame, { signal: this.#ended.signal })
    // Whoever could not write at the subscription may have been let since.
    if (this.allows('post') === false) void this.#load()
  }

  /** Stops following the room once nobody shows it any longer. */
  stop(): void {
    if (--this.#holders > 0) return
    this.#ended.abort()
    if (accesses.get(this.room) === this) accesses.delete(this.room)
  }

  /** Whether the user may do something; undefined if that is not known. */
  allows(what: Capability): boolean | undefined {
    return this.capabilities?.has(what)
  }

  #onFrame(frame: ServerFrame): void {
    if (!('room_id' in frame) || frame.room_id !== this.room.id) return
    switch (frame.type) {
      case 'subscribed':
        this.#take(frame)
        return
      case 'room_updated':
        void this.#load()
        return
      case 'participant_updated':
        if (frame.participant.user.id === this.client.me) void this.#load()
        return
      case 'chat_message':
        this.#onMessage(frame.message)
        return
      case 'error':
        this.#onError(frame)
    }
  }

  /** A message of the user's own starts the time of slow mode anew. */
  #onMessage({ sender, created_at }: Message): void {
    const wait_ms = this.#slowMode_ms
    if (sender.id !== this.client.me || wait_ms === 0) return
    this.#wait(Math.min(this.now(), Date.parse(created_at)) + wait_ms)
  }

  #onError({ code, retry_after }: ErrorFrame): void {
    if (code === 'rate_limited' && this.#slowMode_ms > 0) this.#wait(this.now() + (retry_after ?? 0) * 1000)
  }

  /** The time between two messages of the user; 0 for none. */
  get #slowMode_ms(): number {
    const seconds = this.room.view.timeline?.room.slow_mode_seconds ?? 0
    return this.room.self?.is_admin ? 0 : seconds * 1000
  }

  #take({ capabilities, next_post_at }: Answer): void {
    this.capabilities = capabilities ? new Set(capabilities) : null
    this.#wait(next_post_at ? Date.parse(next_post_at) : 0)
  }

  /** The device's clock may be wrong, but the server never has anyone wait longer than slow mode does. */
  #wait(until_ms: number): void {
    const wait_ms = this.#slowMode_ms
    this.nextPostAt_ms = wait_ms > 0 ? Math.min(until_ms, this.now() + wait_ms) : until_ms
    this.dispatchEvent(new Event('change'))
  }

  async #load(): Promise<void> {
    this.#again = this.#loading
    if (this.#loading) return
    this.#loading = true
    try {
      do {
        this.#again = false
        const path = { id: this.room.id }
        const { data } = await this.client.api.GET('/api/chat/rooms/{id}/', { params: { path } })
        if (!this.#ended.signal.aborted) this.#take(data)
      } while (this.#again)
    } catch {
      // The next subscription tells it.
    } finally {
      this.#loading = false
    }
  }
}
