/** What a room needs from the client that it belongs to. Types only. */
import type { Api } from './api.ts'
import type { RoomCache } from './cache.ts'
import type { Inbox } from './inbox.ts'
import type { Outbox, OutboxEntry } from './outbox.ts'
import type { Timeline } from './timeline.ts'
import type { ClientFrame } from './wire.ts'

export interface RoomContext {
  readonly api: Api
  readonly cache: RoomCache
  readonly inbox: Inbox
  readonly outbox: Outbox
  /** The user's id. */
  readonly me: number | null
  /** Whether the client is connected, or connects for the first time. */
  readonly reachable: boolean
  /** Adds to a timeline, before it is shown, what waits in the outbox to change its messages. */
  decorate(timeline: Timeline, waiting: readonly OutboxEntry[]): Timeline
  /** Sends a frame. Returns false if the connection is down. */
  send(frame: ClientFrame): boolean
  checkConnection(): void
  reconnect(): void
  /** Called when nobody uses the room any longer. */
  releaseRoom(room: { readonly id: string }): void
}
