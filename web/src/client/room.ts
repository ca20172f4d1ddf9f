/**
 * One open room: its timeline kept live, and what a person does in it.
 *
 * Frames come from `Client`. Whatever reaches the timeline comes through `#take`, which keeps the order: an
 * event that leaves a hole waits until the hole is read by REST.
 */
import { Retry } from './backoff.ts'
import type { KeptRoom } from './cache.ts'
import type { Client } from './client.ts'
import type { OutboxEntry } from './outbox.ts'
import { ChatError } from './rest.ts'
import { atHead, extendNewer, extendOlder, fold, nearEnd, openTimeline, type Timeline } from './timeline.ts'
import { AuthNeeded } from './token.ts'
import type { LogEvent, Message, Participant, Quote, RoomFrame } from './wire.ts'

/** Events read at a time. */
const PAGE = 100
/** Pages read at most in search of something to show: edits and people's comings and goings show little. */
const PAGES_MAX = 4
/** Fewer entries than this on the first page: read another one. */
const ENTRIES_FEW = 30
/** Live events held back while a page is read; beyond, the room is read anew. */
const HELD_MAX = 2_000
/** A typing signal is repeated to the server at most this often, and lapses here after `TYPING_LAPSE_MS`. */
const TYPING_REPEAT_MS = 2_500
const TYPING_LAPSE_MS = 7_000
/** A read mark is told at most this often: in a busy room it would use up its budget. */
const RECEIPT_PAUSE_MS = 250
/** What was kept is shown after this long, though the line hasn't yet brought what is missing. */
const REVEAL_MS = 1_000

/** What a view shows of a room; a new object at every change. */
export interface RoomView {
  readonly timeline: Timeline | null
  readonly pending: readonly OutboxEntry[]
  /** By user id: the `seq` up to which each has read. */
  readonly marks: ReadonlyMap<number, number>
  readonly online: ReadonlySet<number>
  /** Who is typing, oneself left out: user id to name. */
  readonly typing: ReadonlyMap<number, string>
  readonly unread: number
  readonly error: ChatError | null
  /** The person isn't in the room any more, or it is gone. */
  readonly gone: boolean
}

type Timer = ReturnType<typeof setTimeout>

export class Room extends EventTarget {
  view: RoomView
  #opened = 0
  /** The room as it was last, while the line brings what is missing. */
  #kept: Timeline | null = null
  #recalling = false
  #reveal: Timer | undefined
  /** Counts the loads: an older one's answer changes nothing. */
  #turn = 0
  #again = new Retry(() => void this.#load(this.#wanted!.epoch, this.#wanted!.head, true))
  #refill = new Retry(() => void this.#fill())
  /** What is being loaded, or will be tried again. */
  #wanted: { readonly epoch: string; readonly head: number } | null = null
  /** The server has let this line into the room; before, it refuses signals. */
  #followed = false
  #held: LogEvent[] | null = null
  #filling = false
  #stale = false
  #typingSent_ms = 0
  #lapses = new Map<number, Timer>()
  #receipt = 0
  #receiptPause: Timer | undefined
  /** Read while the last mark rests. */
  #readSince: Message | null = null

  constructor(
    readonly id: string,
    private readonly client: Client,
  ) {
    super()
    this.view = {
      timeline: null,
      pending: client.outbox.of(id),
      marks: new Map(),
      online: new Set(),
      typing: new Map(),
      unread: 0,
      error: null,
      gone: false,
    }
  }

  /** Follows the room until as many `close` calls have come. */
  open(): void {
    if (this.#opened++ > 0) return
    const kept = this.view.timeline ? null : this.client.cache.room(this.id)
    if (!(kept instanceof Promise)) {
      this.#recall(kept)
      return
    }
    this.#recalling = true
    void kept.then(found => {
      this.#recalling = false
      if (this.#opened > 0) this.#recall(found)
    })
  }

  close(): void {
    if (--this.#opened > 0) return
    this.#tellReadSince()
    this.client.send({ type: 'unsubscribe', room_id: this.id })
    this.client.forget(this)
    this.#turn++
    this.#held = null
    this.#again.end()
    this.#refill.end()
    clearTimeout(this.#reveal)
    for (const timer of this.#lapses.values()) clearTimeout(timer)
  }

  /** Subscribes from where the timeline ends; called at every new line. */
  connect(): void {
    this.#followed = false
    if (this.#opened === 0 || this.#recalling) return
    const timeline = this.#timeline
    this.client.send(
      timeline
        ? { type: 'subscribe', room_id: this.id, since: timeline.head, epoch: timeline.epoch }
        : { type: 'subscribe', room_id: this.id },
    )
  }

  /** There is no line just now: what was kept is all there is to show. */
  unreachable(): void {
    this.#followed = false
    if (this.#recalling) return
    this.#show()
    if (!this.view.timeline && !this.view.gone) this.#change({ error: new ChatError('offline', 'offline') })
  }

  /** Takes up what was kept and goes on from there. With a line it is shown with what has come since. */
  #recall(kept: KeptRoom | null): void {
    if (kept && !this.view.timeline) {
      this.#kept = kept.timeline
      const row = this.client.inbox.rooms.find(room => room.id === this.id)
      this.#change({ marks: kept.marks, unread: row?.unread_count ?? 0 })
      this.#reveal = setTimeout(() => this.#show(), REVEAL_MS)
    }
    this.connect()
    if (!this.client.reachable) this.unreachable()
  }

  /** Shows what was kept. */
  #show(): void {
    clearTimeout(this.#reveal)
    const timeline = this.#kept
    this.#kept = null
    if (!timeline) return
    this.#change({ timeline, error: null })
    for (const entry of timeline.entries) if (entry.kind === 'message') this.#settle(entry.message)
  }

  /** The timeline, shown or about to be. */
  get #timeline(): Timeline | null {
    return this.view.timeline ?? this.#kept
  }

  /** Takes a frame about this room. */
  hear(frame: RoomFrame | LogEvent): void {
    const known = frame as RoomFrame
    switch (known.type) {
      case 'subscribed':
        this.#followed = true
        this.#change({ unread: known.unread_count, gone: false, error: null })
        if (!this.#timeline) void this.#load(known.epoch, known.seq)
        return
      case 'reset':
        this.#kept = null
        void this.#load(known.epoch, known.seq)
        return
      case 'synced':
        this.#show()
        return
      case 'ack':
        return
      case 'typing':
        this.#hearTyping(known.user_id, known.username, known.is_typing)
        return
      case 'read_receipt':
        this.#mark([[known.user_id, known.up_to]])
        return
      case 'read_state':
        this.#mark(known.marks.map(mark => [mark.user_id, mark.seq]))
        return
      case 'presence': {
        const online = new Set(this.view.online)
        if (known.status === 'online') online.add(known.user_id)
        else online.delete(known.user_id)
        this.#change({ online })
        return
      }
      case 'presence_state':
        this.#change({ online: new Set(known.online) })
        return
      default:
        if (typeof (frame as LogEvent).seq === 'number') this.#take(frame as LogEvent)
    }
  }

  /** The outbox has changed. */
  outboxChanged(): void {
    this.#change({ pending: this.client.outbox.of(this.id) })
  }

  /** The person was taken out, or the room is gone. */
  removed(): void {
    this.client.cache.forget(this.id)
    this.#change({ gone: true })
  }

  /** Whether there is something older than the timeline shows. */
  get hasOlder(): boolean {
    return (this.view.timeline?.from ?? 0) > 0
  }

  /** Reads an older stretch. @throws ChatError */
  async loadOlder(): Promise<void> {
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const before = this.view.timeline
      if (!before || before.from === 0) return
      const from = Math.max(0, before.from - PAGE)
      const events = await this.#page(from, before.from)
      const { timeline } = this.view
      if (timeline?.from !== before.from) return
      const grown = extendOlder(timeline, events, from)
      this.#change({ timeline: grown })
      if (grown.entries.length - timeline.entries.length >= ENTRIES_FEW / 2) return
    }
  }

  /** Reads a newer stretch, when the timeline doesn't reach the end. @throws ChatError */
  async loadNewer(): Promise<void> {
    const before = this.view.timeline
    if (!before || atHead(before)) return
    const to = Math.min(before.head, before.to + PAGE)
    const events = await this.#page(before.to, to)
    const { timeline } = this.view
    if (timeline && timeline.to === before.to) this.#change({ timeline: extendNewer(timeline, events, to) })
  }

  /** Moves the timeline to the surroundings of `seq`, unless it has it already. @throws ChatError */
  async show(seq: number): Promise<void> {
    const before = this.view.timeline
    if (!before || (seq > before.from && seq <= before.to)) return
    const from = Math.max(0, seq - PAGE / 2)
    const to = Math.min(before.head, from + PAGE)
    await this.#move(from, to)
  }

  /** Moves the timeline to the end of the log. @throws ChatError */
  async showEnd(): Promise<void> {
    const before = this.view.timeline
    if (before && !atHead(before)) await this.#move(Math.max(0, before.head - PAGE), before.head)
  }

  /** Lets go of old entries; to be called when somebody looks at the end. */
  trim(): void {
    const { timeline } = this.view
    const near = timeline && nearEnd(timeline)
    if (near && near !== timeline) this.#change({ timeline: near })
  }

  /** Sends a text, a file, or both. It is shown at once and stored when the line allows. */
  say(content: string, reply_to: Message | null, file: File | null): void {
    this.#typingSent_ms = 0
    const quote: Quote | null = reply_to && {
      id: reply_to.id,
      sender: reply_to.sender,
      content: reply_to.content,
      created_at: reply_to.created_at,
    }
    this.client.outbox.add({
      client_id: crypto.randomUUID(),
      room_id: this.id,
      content,
      reply_to: quote,
      file,
      at_ms: Date.now(),
    })
  }

  /** Tells the others that the person types or has stopped. */
  type(is_typing: boolean): void {
    if (!this.#followed) return
    const now_ms = Date.now()
    if (is_typing && now_ms - this.#typingSent_ms < TYPING_REPEAT_MS) return
    if (!is_typing && this.#typingSent_ms === 0) return
    this.#typingSent_ms = is_typing ? now_ms : 0
    this.client.send({ type: 'typing', room_id: this.id, is_typing })
  }

  /** Notes that the person has seen everything up to `message`. */
  read(message: Message): void {
    const me = this.client.me
    if (me === null || message.seq <= Math.max(this.#receipt, this.view.marks.get(me) ?? 0)) return
    if (this.#receiptPause !== undefined) {
      if (message.seq > (this.#readSince?.seq ?? 0)) this.#readSince = message
      return
    }
    if (this.client.send({ type: 'read_receipt', room_id: this.id, message_id: message.id })) {
      this.#receipt = message.seq
      this.#receiptPause = setTimeout(() => this.#tellReadSince(), RECEIPT_PAUSE_MS)
    }
  }

  /** Notes that the last receipt had no effect. */
  unread(): void {
    this.#receipt = 0
  }

  #tellReadSince(): void {
    clearTimeout(this.#receiptPause)
    this.#receiptPause = undefined
    const message = this.#readSince
    this.#readSince = null
    if (message !== null) this.read(message)
  }

  /** Changes the text of an own message. @throws ChatError */
  async edit(message: Message, content: string): Promise<void> {
    await this.client.api.PATCH('/api/chat/messages/{id}/', {
      params: { path: { id: message.id } },
      body: { content },
    })
  }

  /** Deletes a message: an own one, or as an admin of the room. @throws ChatError */
  async delete(message: Message): Promise<void> {
    await this.client.api.DELETE('/api/chat/messages/{id}/', { params: { path: { id: message.id } } })
  }

  /** The caller's own participant. */
  get self(): Participant | null {
    const me = this.client.me
    return (me !== null && this.view.timeline?.people.get(me)) || null
  }

  /** Reads what the timeline needs anew: room, people, and the end of the log. */
  reload(): void {
    this.#change({ error: null, timeline: null })
    this.client.send({ type: 'unsubscribe', room_id: this.id })
    this.client.poke()
    this.connect()
  }

  /**
   * Reads the room and the end of its log, and again until it has succeeded.
   *
   * What comes live meanwhile is held, and `repeated` goes on holding what has come since the first try.
   */
  async #load(epoch: string, head: number, repeated = false): Promise<void> {
    const turn = ++this.#turn
    this.#wanted = { epoch, head }
    if (!repeated) {
      this.#again.end()
      this.#refill.end()
      this.#held = []
      this.#stale = false
    }
    try {
      const { data: room } = await this.client.api.GET('/api/chat/rooms/{id}/', {
        params: { path: { id: this.id } },
      })
      let from = Math.max(0, head - PAGE)
      let events = await this.#page(from, head)
      let timeline = openTimeline(room, epoch, head, from, head, events)
      for (let n = 1; from > 0 && timeline.entries.length < ENTRIES_FEW && n < PAGES_MAX; n++) {
        const older = Math.max(0, from - PAGE)
        events = await this.#page(older, from)
        timeline = extendOlder(timeline, events, older)
        from = older
      }
      if (turn !== this.#turn) return
      this.#again.end()
      this.#wanted = null
      const held = this.#held ?? []
      this.#held = null
      this.client.outbox.storedUpTo(this.id, head)
      this.#change({ timeline, error: null })
      for (const event of timeline.entries) if (event.kind === 'message') this.#settle(event.message)
      for (const event of held) this.#take(event)
      if (this.#stale) this.client.reconnect()
    } catch (cause) {
      if (turn === this.#turn) this.#failed(cause)
    }
  }

  #failed(cause: unknown): void {
    const error = cause instanceof ChatError ? cause : new ChatError('offline', String(cause))
    const gone = error.status === 403 || error.status === 404
    if (gone) {
      this.#held = null
      this.#wanted = null
    } else if (!(cause instanceof AuthNeeded)) this.#again.later(error.retry_after_ms)
    this.#change({ error, gone })
  }

  async #move(from: number, to: number): Promise<void> {
    const events = await this.#page(from, to)
    const { timeline } = this.view
    if (!timeline) return
    const empty: Timeline = { ...timeline, from, to: from, entries: [] }
    this.#change({ timeline: extendNewer(empty, events, to) })
    if (to < timeline.head && timeline.head - to <= PAGE / 2) await this.loadNewer()
  }

  /** Reads the events after `from`, up to `to`. */
  async #page(from: number, to: number): Promise<LogEvent[]> {
    const events: LogEvent[] = []
    let since = from
    while (since < to) {
      const { data } = await this.client.api.GET('/api/chat/rooms/{id}/events/', {
        params: { path: { id: this.id }, query: { since, limit: to - since } },
      })
      events.push(...data.events)
      const last = data.events.at(-1)
      if (!last || !data.has_more) break
      since = last.seq
    }
    return events
  }

  /** Puts a live event into the timeline, in order and once. */
  #take(event: LogEvent): void {
    const timeline = this.#timeline
    if (this.#held) {
      if (this.#held.length < HELD_MAX) this.#held.push(event)
      else this.#stale = true
      return
    }
    if (!timeline) return
    if (event.seq > timeline.head + 1) {
      this.#held = [event]
      this.#stale = false
      void this.#fill()
      return
    }
    const next = fold(timeline, event)
    if (timeline === this.#kept) this.#kept = next
    else if (next !== timeline) this.#change({ timeline: next })
    if (event.type === 'chat_message') {
      const { message } = event as LogEvent & { message: Message }
      this.#settle(message)
      this.#lapse(message.sender.id)
    }
  }

  /** Reads the hole between the timeline's head and what has come, and then goes on. */
  async #fill(): Promise<void> {
    if (this.#filling) return
    this.#filling = true
    const turn = this.#turn
    try {
      const first = this.#held?.[0]
      const timeline = this.#timeline
      if (!first || !timeline) return
      const events = await this.#page(timeline.head, first.seq - 1)
      if (turn !== this.#turn) return
      const held = this.#held ?? []
      this.#held = null
      this.#refill.end()
      for (const event of [...events, ...held]) this.#take(event)
      if (this.#stale) this.client.reconnect()
    } catch (cause) {
      const floor_ms = cause instanceof ChatError ? cause.retry_after_ms : 0
      if (turn === this.#turn) this.#refill.later(floor_ms)
    } finally {
      this.#filling = false
      if (this.#held && !this.#wanted && !this.#refill.waiting) void this.#fill()
    }
  }

  /** What the timeline has, the outbox need not show. */
  #settle(message: Message): void {
    if (message.client_id && message.sender.id === this.client.me) this.client.outbox.seen(message.client_id)
  }

  #hearTyping(user: number, username: string, is_typing: boolean): void {
    if (user === this.client.me) return
    clearTimeout(this.#lapses.get(user))
    if (!is_typing) {
      this.#lapse(user)
      return
    }
    const name = this.view.timeline?.people.get(user)?.user.full_name ?? username
    this.#change({ typing: new Map(this.view.typing).set(user, name) })
    this.#lapses.set(
      user,
      setTimeout(() => this.#lapse(user), TYPING_LAPSE_MS),
    )
  }

  #lapse(user: number): void {
    if (!this.view.typing.has(user)) return
    const typing = new Map(this.view.typing)
    typing.delete(user)
    this.#change({ typing })
  }

  #mark(moved: readonly (readonly [number, number])[]): void {
    const marks = new Map(this.view.marks)
    for (const [user, seq] of moved) if (seq > (marks.get(user) ?? -1)) marks.set(user, seq)
    this.#change({ marks })
  }

  #change(change: Partial<RoomView>): void {
    this.view = { ...this.view, ...change }
    const { timeline, marks, gone } = this.view
    if ((change.timeline || change.marks) && timeline && atHead(timeline) && !gone)
      this.client.cache.keepRoom({ id: this.id, timeline, marks })
    this.dispatchEvent(new Event('change'))
  }
}
