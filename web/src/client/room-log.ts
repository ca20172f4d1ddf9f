/**
 * Keeps the timeline of one room consistent with the server's log.
 *
 * It loads the newest page, applies live events in order and exactly once, and reads older and newer pages on
 * demand. Live events that leave a gap, or that arrive while a page is loaded, are held until what precedes
 * them has been read by REST.
 */
import { RetryTimer } from './backoff.ts'
import { ChatError } from './errors.ts'
import type { RoomContext } from './room-context.ts'
import {
  atHead,
  extendNewer,
  extendOlder,
  fold,
  openTimeline,
  type Timeline,
  trimToRecent,
} from './timeline.ts'
import { AuthNeeded } from './tokens.ts'
import type { LogEvent, Message } from './wire.ts'

/** Events per page. */
const PAGE = 100
/** Maximum number of pages read in search of entries: edits and membership changes produce few. */
const PAGES_MAX = 4
/** If the first page yields fewer entries than this, another one is read. */
const ENTRIES_MIN = 30
/** Live events held while a page is loaded; beyond this the client reconnects. */
const HELD_MAX = 2_000
/** A cached timeline is shown after this time even if the connection has not yet brought what is missing. */
const REVEAL_MS = 1_000

export interface LogChange {
  readonly timeline?: Timeline | null
  readonly error?: ChatError | null
  /** The room does not exist, or the user may not see it. */
  readonly gone?: boolean
}

export interface LogHandlers {
  onChange(change: LogChange): void
  /** A live message has been applied. */
  onMessage(message: Message): void
}

export class RoomLog {
  /** The timeline that is shown. */
  timeline: Timeline | null = null
  /** A cached timeline that is not shown until the connection has brought what is missing. */
  #cached: Timeline | null = null
  #revealTimer: ReturnType<typeof setTimeout> | undefined
  /** Identifies the current load: the response to an earlier one is ignored. */
  #loadId = 0
  /** What is being loaded, or will be retried. */
  #wanted: { readonly epoch: string; readonly head: number } | null = null
  #loadRetry = new RetryTimer(() => void this.#load(this.#wanted!.epoch, this.#wanted!.head))
  #fillRetry = new RetryTimer(() => void this.#fillGap())
  #filling = false
  #held: LogEvent[] | null = null
  /** Held events have been dropped. */
  #overflowed = false
  #id: string
  #client: RoomContext
  #handlers: LogHandlers

  constructor(id: string, client: RoomContext, handlers: LogHandlers) {
    this.#id = id
    this.#client = client
    this.#handlers = handlers
  }

  /** The timeline, shown or still hidden. */
  get current(): Timeline | null {
    return this.timeline ?? this.#cached
  }

  /** Whether the log contains events older than the timeline. */
  get hasOlder(): boolean {
    return (this.timeline?.from ?? 0) > 0
  }

  /** Resumes from a cached timeline. */
  restore(cached: Timeline): void {
    this.#cached = cached
    this.#revealTimer = setTimeout(() => this.reveal(), REVEAL_MS)
  }

  /** Shows the cached timeline. */
  reveal(): void {
    clearTimeout(this.#revealTimer)
    const timeline = this.#cached
    this.#cached = null
    if (timeline) this.#show(timeline)
  }

  /** Loads the room and the end of its log, and retries until it has succeeded. */
  load(epoch: string, head: number): void {
    this.#cached = null
    this.#loadRetry.reset()
    this.#fillRetry.reset()
    this.#held = []
    this.#overflowed = false
    void this.#load(epoch, head)
  }

  clear(): void {
    this.#change({ error: null, timeline: null })
  }

  /** Stops loading and retrying. */
  close(): void {
    this.#loadId++
    this.#held = null
    this.#loadRetry.reset()
    this.#fillRetry.reset()
    clearTimeout(this.#revealTimer)
  }

  /** Applies a live event to the timeline, in order and exactly once. */
  apply(event: LogEvent): void {
    const timeline = this.current
    if (this.#held) {
      if (this.#held.length < HELD_MAX) this.#held.push(event)
      else this.#overflowed = true
      return
    }
    if (!timeline) return
    if (event.seq > timeline.head + 1) {
      this.#held = [event]
      this.#overflowed = false
      void this.#fillGap()
      return
    }
    const next = fold(timeline, event)
    if (timeline === this.#cached) this.#cached = next
    else if (next !== timeline) this.#change({ timeline: next })
    if (event.type === 'chat_message') {
      const { message } = event as LogEvent & { message: Message }
      this.#confirm(message)
      this.#handlers.onMessage(message)
    } else this.#client.outbox.confirmUpTo(this.#id, event.seq)
  }

  /** Loads an older page. @throws ChatError */
  async loadOlder(): Promise<void> {
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const before = this.timeline
      if (!before || before.from === 0) return
      const from = Math.max(0, before.from - PAGE)
      const events = await this.#read(from, before.from)
      const { timeline } = this
      if (timeline?.from !== before.from) return
      const grown = extendOlder(timeline, events, from)
      this.#change({ timeline: grown })
      if (grown.entries.length - timeline.entries.length >= ENTRIES_MIN / 2) return
    }
  }

  /** Loads a newer page if the timeline does not reach the end of the log. @throws ChatError */
  async loadNewer(): Promise<void> {
    const before = this.timeline
    if (!before || atHead(before)) return
    const to = Math.min(before.head, before.to + PAGE)
    const events = await this.#read(before.to, to)
    const { timeline } = this
    if (timeline && timeline.to === before.to) this.#change({ timeline: extendNewer(timeline, events, to) })
  }

  /** Moves the timeline to the events around `seq` unless they are in range. @throws ChatError */
  async loadAround(seq: number): Promise<void> {
    const before = this.timeline
    if (!before || (seq > before.from && seq <= before.to)) return
    const from = Math.max(0, seq - PAGE / 2)
    await this.#moveTo(from, Math.min(before.head, from + PAGE))
  }

  /** Moves the timeline to the end of the log. @throws ChatError */
  async loadEnd(): Promise<void> {
    const before = this.timeline
    if (before && !atHead(before)) await this.#moveTo(Math.max(0, before.head - PAGE), before.head)
  }

  /** Drops old entries. Call it while the reader is at the end. */
  trim(): void {
    const { timeline } = this
    const recent = timeline && trimToRecent(timeline)
    if (recent && recent !== timeline) this.#change({ timeline: recent })
  }

  async #load(epoch: string, head: number): Promise<void> {
    const loadId = ++this.#loadId
    this.#wanted = { epoch, head }
    try {
      const { data: room } = await this.#client.api.GET('/api/chat/rooms/{id}/', {
        params: { path: { id: this.#id } },
      })
      let from = Math.max(0, head - PAGE)
      let events = await this.#read(from, head)
      let timeline = openTimeline(room, epoch, head, from, head, events)
      for (let n = 1; from > 0 && timeline.entries.length < ENTRIES_MIN && n < PAGES_MAX; n++) {
        const older = Math.max(0, from - PAGE)
        events = await this.#read(older, from)
        timeline = extendOlder(timeline, events, older)
        from = older
      }
      if (loadId !== this.#loadId) return
      this.#loadRetry.reset()
      this.#wanted = null
      this.#client.outbox.confirmUpTo(this.#id, head)
      const held = this.#releaseHeld()
      this.#show(timeline)
      this.#applyAll(held)
    } catch (cause) {
      if (loadId === this.#loadId) this.#onLoadError(cause)
    }
  }

  #onLoadError(cause: unknown): void {
    const error = cause instanceof ChatError ? cause : new ChatError('offline', String(cause))
    const gone = error.status === 403 || error.status === 404
    if (gone) {
      this.#held = null
      this.#wanted = null
    } else if (!(cause instanceof AuthNeeded)) this.#loadRetry.schedule(error.retry_after_ms)
    this.#change({ error, gone })
  }

  async #moveTo(from: number, to: number): Promise<void> {
    const events = await this.#read(from, to)
    const { timeline } = this
    if (!timeline) return
    const empty: Timeline = { ...timeline, from, to: from, entries: [] }
    this.#change({ timeline: extendNewer(empty, events, to) })
    if (to < timeline.head && timeline.head - to <= PAGE / 2) await this.loadNewer()
  }

  /** Reads the events after `from` up to `to`. */
  async #read(from: number, to: number): Promise<LogEvent[]> {
    const events: LogEvent[] = []
    let since = from
    while (since < to) {
      const { data } = await this.#client.api.GET('/api/chat/rooms/{id}/events/', {
        params: { path: { id: this.#id }, query: { since, limit: to - since } },
      })
      events.push(...data.events)
      const last = data.events.at(-1)
      if (!last || !data.has_more) break
      since = last.seq
    }
    return events
  }

  /** Reads the gap between the timeline and the first held event, and then applies both. */
  async #fillGap(): Promise<void> {
    if (this.#filling) return
    this.#filling = true
    const loadId = this.#loadId
    try {
      const first = this.#held?.[0]
      const timeline = this.current
      if (!first || !timeline) return
      const events = await this.#read(timeline.head, first.seq - 1)
      if (loadId !== this.#loadId) return
      this.#fillRetry.reset()
      this.#applyAll([...events, ...this.#releaseHeld()])
    } catch (cause) {
      const floor_ms = cause instanceof ChatError ? cause.retry_after_ms : 0
      if (loadId === this.#loadId) this.#fillRetry.schedule(floor_ms)
    } finally {
      this.#filling = false
      if (this.#held && !this.#wanted && !this.#fillRetry.scheduled) void this.#fillGap()
    }
  }

  #releaseHeld(): LogEvent[] {
    const held = this.#held ?? []
    this.#held = null
    return held
  }

  #applyAll(events: readonly LogEvent[]): void {
    for (const event of events) this.apply(event)
    if (this.#overflowed) this.#client.reconnect()
  }

  #show(timeline: Timeline): void {
    this.#change({ timeline, error: null })
    for (const entry of timeline.entries) if (entry.kind === 'message') this.#confirm(entry.message)
  }

  /** The outbox need not show what the timeline shows. */
  #confirm({ client_id, sender }: Message): void {
    if (client_id && sender.id === this.#client.me) this.#client.outbox.confirm(client_id)
  }

  #change(change: LogChange): void {
    if (change.timeline !== undefined) this.timeline = change.timeline
    this.#handlers.onChange(change)
  }
}
