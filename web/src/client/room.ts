/**
 * One open room: what a view shows of it, and what the user does in it.
 *
 * `Client` passes it the frames of the room. [`RoomLog`] keeps the timeline, [`TypingSignals`] and
 * [`ReadReceipts`] limit what is sent.
 */
import type { CachedRoom } from './cache.ts'
import { ChatError } from './errors.ts'
import type { OutboxEntry } from './outbox.ts'
import { ReadReceipts } from './read-receipts.ts'
import type { RoomContext } from './room-context.ts'
import { RoomLog } from './room-log.ts'
import { atHead, type Entry, type Timeline, withoutThreads } from './timeline.ts'
import { TypingSignals } from './typing.ts'
import type { LogEvent, Message, Participant, RoomFrame, SentMentions, SubscribedFrame } from './wire.ts'

/** What a view shows of a room; replaced by a new object at every change. */
export interface RoomView {
  readonly timeline: Timeline | null
  readonly pending: readonly OutboxEntry[]
  /** The `seq` up to which each user has read, by user id. */
  readonly marks: ReadonlyMap<number, number>
  readonly online: ReadonlySet<number>
  /** The names of the other users who are typing, by user id. */
  readonly typing: ReadonlyMap<number, string>
  readonly unread: number
  readonly error: ChatError | null
  /** Why the server has refused the user's last reaction, tick or vote that it refused. */
  readonly refusal: ChatError | null
  /** The room does not exist, or the user is no longer in it. */
  readonly gone: boolean
}

/** Events: `change` when `view` has been replaced. */
export class Room extends EventTarget {
  readonly id: string
  readonly log: RoomLog
  view: RoomView
  /** What the server has said last about the subscription. */
  subscription: SubscribedFrame | null = null
  #client: RoomContext
  #typing = new TypingSignals(() => this.#change({ typing: this.#typing.names }))
  #receipts = new ReadReceipts(
    ({ id }) => this.#client.send({ type: 'read_receipt', room_id: this.id, message_id: id }),
    () => (this.#client.me === null ? Infinity : (this.view.marks.get(this.#client.me) ?? 0)),
  )
  #users = 0
  /** The persistent cache is being read. */
  #restoring = false
  /** The server has accepted the subscription of this connection; before that it refuses signals. */
  #subscribed = false

  constructor(id: string, client: RoomContext) {
    super()
    this.id = id
    this.#client = client
    this.log = new RoomLog(id, client, {
      onChange: change => this.#change(change),
      onMessage: ({ sender }) => this.#typing.stop(sender.id),
    })
    this.view = {
      timeline: null,
      pending: [],
      marks: new Map(),
      online: new Set(),
      typing: this.#typing.names,
      unread: 0,
      error: null,
      refusal: null,
      gone: false,
    }
    this.#change({})
  }

  /** Subscribes to the room until `close` has been called as often as `open`. */
  open(): void {
    if (this.#users++ > 0) return
    const cached = this.log.timeline ? null : this.#client.cache.loadRoom(this.id)
    if (!(cached instanceof Promise)) {
      this.#restore(cached)
      return
    }
    this.#restoring = true
    void cached.then(room => {
      this.#restoring = false
      if (this.#users > 0) this.#restore(room)
    })
  }

  close(): void {
    if (--this.#users > 0) return
    this.#receipts.flush()
    this.#client.send({ type: 'unsubscribe', room_id: this.id })
    this.#client.releaseRoom(this)
    this.log.close()
    this.#typing.close()
  }

  /** Subscribes from the position at which the timeline ends. Called for each new connection. */
  subscribe(): void {
    this.#subscribed = false
    if (this.#users === 0 || this.#restoring) return
    const timeline = this.log.current
    this.#client.send({
      type: 'subscribe',
      room_id: this.id,
      ...(timeline && { since: timeline.head, epoch: timeline.epoch }),
    })
  }

  /** There is no connection: a cached timeline is all that can be shown. */
  onOffline(): void {
    this.#subscribed = false
    if (this.#restoring) return
    this.log.reveal()
    if (!this.view.timeline && !this.view.gone) this.#change({ error: new ChatError('offline', 'offline') })
  }

  #restore(cached: CachedRoom | null): void {
    if (cached && !this.log.timeline) {
      this.log.restore(cached.timeline)
      const row = this.#client.inbox.rooms.find(room => room.id === this.id)
      this.#change({ marks: cached.marks, unread: row?.unread_count ?? 0 })
    }
    this.subscribe()
    if (!this.#client.reachable) this.onOffline()
  }

  /** Handles a frame about this room. */
  onFrame(frame: RoomFrame | LogEvent): void {
    const known = frame as RoomFrame
    switch (known.type) {
      case 'subscribed':
        this.#subscribed = true
        this.subscription = known
        this.#change({ unread: known.unread_count, gone: false, error: null })
        if (!this.log.current) this.log.load(known.epoch, known.seq)
        return
      case 'reset':
        this.log.load(known.epoch, known.seq)
        return
      case 'synced':
        this.log.reveal()
        return
      case 'ack':
        return
      case 'typing':
        this.#onTyping(known.user_id, known.username, known.is_typing)
        return
      case 'read_receipt':
        this.#advanceMarks([[known.user_id, known.up_to]])
        return
      case 'read_state':
        this.#advanceMarks(known.marks.map(mark => [mark.user_id, mark.seq]))
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
        if (typeof (frame as LogEvent).seq === 'number') this.log.apply(frame as LogEvent)
    }
  }

  onOutboxChange(): void {
    const { current } = this.log
    if (current) this.#client.outbox.confirmUpTo(this.id, current.head)
    this.#change({})
  }

  onRefused(refusal: ChatError): void {
    this.#change({ refusal })
  }

  /** The user has been removed from the room, or the room has been deleted. */
  onRemoved(): void {
    this.#client.cache.removeRoom(this.id)
    this.#change({ gone: true })
  }

  /** The user has been added to the room, perhaps again. */
  onAdded(): void {
    if (this.view.gone) this.subscribe()
  }

  /** The server rejected a read receipt because its message has been deleted. */
  onReceiptRejected(): void {
    this.#receipts.onRejected()
  }

  /** Sends a text, files, or both. It is shown immediately and delivered when there is a connection. */
  send(content: string, reply_to: Message | null, [file, ...more]: File[], mentions?: SentMentions): void {
    this.#typing.onSend()
    this.#client.outbox.add({
      client_id: crypto.randomUUID(),
      room_id: this.id,
      content,
      reply_to: reply_to && {
        id: reply_to.id,
        sender: reply_to.sender,
        content: reply_to.content,
        created_at: reply_to.created_at,
      },
      file: file ?? null,
      more,
      at_ms: Date.now(),
      mentions,
    })
  }

  /** Signals to the other participants that the user is typing or has stopped. */
  setTyping(is_typing: boolean): void {
    if (this.#subscribed && this.#typing.isDue(is_typing))
      this.#client.send({ type: 'typing', room_id: this.id, is_typing })
  }

  /** Records that the user has read everything up to `message`. */
  markRead(message: Message): void {
    this.#receipts.markRead(message)
    const { unread, timeline, marks } = this.view
    if (unread === 0 || !timeline || message.seq > (marks.get(this.#client.me ?? 0) ?? 0)) return
    // A room that the user has marked as unread has no unread message that a receipt could name.
    const isTheirs = (entry: Entry) => entry.kind === 'message' && entry.message.sender.id !== this.#client.me
    if (!atHead(timeline) || timeline.entries.findLast(isTheirs)?.seq !== message.seq) return
    if (this.#client.send({ type: 'mark_room_read', room_id: this.id })) this.#change({ unread: 0 })
  }

  /** Changes the text of one of the user's messages, and whom it mentions. @throws ChatError */
  async edit(message: Message, content: string, mentions?: SentMentions): Promise<void> {
    await this.#client.api.PATCH('/api/chat/messages/{id}/', {
      params: { path: { id: message.id } },
      body: { content, ...mentions },
    })
  }

  /** The user as a participant. */
  get self(): Participant | null {
    const { me } = this.#client
    return (me !== null && this.view.timeline?.people.get(me)) || null
  }

  /** Discards the timeline and loads the room again. */
  reload(): void {
    this.log.clear()
    this.#client.send({ type: 'unsubscribe', room_id: this.id })
    this.#client.checkConnection()
    this.subscribe()
  }

  #onTyping(user: number, username: string, is_typing: boolean): void {
    if (user === this.#client.me) return
    if (is_typing) this.#typing.start(user, this.view.timeline?.people.get(user)?.user.full_name ?? username)
    else this.#typing.stop(user)
  }

  #advanceMarks(moved: readonly (readonly [number, number])[]): void {
    const marks = new Map(this.view.marks)
    for (const [user, seq] of moved) if (seq > (marks.get(user) ?? -1)) marks.set(user, seq)
    this.#change({ marks })
  }

  #change(change: Partial<RoomView>): void {
    const { timeline } = this.log
    const waiting = this.#client.outbox.entriesOf(this.id)
    this.view = {
      ...this.view,
      ...change,
      timeline: timeline && withoutThreads(this.#client.decorate(timeline, waiting)),
      pending: waiting.filter(entry => !entry.change && entry.extras?.in_timeline !== false),
    }
    const { marks, gone } = this.view
    if ((change.timeline || change.marks) && timeline && atHead(timeline) && !gone)
      this.#client.cache.saveRoom({ id: this.id, timeline, marks })
    this.dispatchEvent(new Event('change'))
  }
}
