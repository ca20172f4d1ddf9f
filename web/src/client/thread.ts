/**
 * One thread of a room, while it is shown: its root and its replies, as a timeline of their own.
 *
 * It reads them by REST, applies the room's frames, and reads them again where frames may have been missed. The
 * room has to be open, so that its frames arrive.
 */
import { RetryTimer } from './backoff.ts'
import type { Client } from './client.ts'
import { ChatError } from './errors.ts'
import type { OutboxEntry } from './outbox.ts'
import type { Room } from './room.ts'
import { fold, type Timeline } from './timeline.ts'
import { AuthNeeded } from './tokens.ts'
import type { EventFrame, LogEvent, Message, RestMessage, ServerFrame } from './wire.ts'

/** Replies per page. */
const PAGE = 100
/** Frames that are held while a page is read; beyond this it is read again. */
const HELD_MAX = 500
/** Replies that are kept; beyond it, the oldest are dropped, and can be loaded again. */
export const REPLIES_MAX = 1_000

/** Returns the timeline of a thread, of which all replies after the first one in `messages` are known. */
export function openThread(room: Timeline, messages: readonly Message[]): Timeline {
  const entries = messages
    .toSorted((a, b) => a.seq - b.seq)
    .map(message => ({ kind: 'message', seq: message.seq, message }) as const)
  // Whatever has happened since these were read has a higher position than their last change.
  const head = Math.max(0, ...messages.map(message => Math.max(message.rev, message.seq)))
  return { ...room, from: 0, to: head, head, entries }
}

/** Applies the next event of the room to a thread. */
export function foldThread(thread: Timeline, event: LogEvent, root_id: string): Timeline {
  const next = fold(thread, event)
  const isAdded = next.entries.length > thread.entries.length
  if (!isAdded) return next
  return isInThread(event, root_id) ? withLimit(next) : { ...next, entries: thread.entries }
}

function isInThread(event: LogEvent, root_id: string): boolean {
  const known = event as EventFrame
  return known.type === 'chat_message' && isReply(known.message, root_id)
}

function isReply({ id, thread }: Message, root_id: string): boolean {
  return thread?.root_id === root_id && id !== root_id
}

/** The root stays, whatever is dropped after it. */
function withLimit(thread: Timeline): Timeline {
  const { entries } = thread
  if (entries.length <= REPLIES_MAX + 1) return thread
  return { ...thread, entries: [entries[0]!, ...entries.slice(-REPLIES_MAX)] }
}

/** Events: `change`. */
export class ThreadLog extends EventTarget {
  readonly root_id: string
  /** The thread as the server has it, or null while it is read. */
  timeline: Timeline | null = null
  hasOlder = false
  error: ChatError | null = null
  #client: Client
  #room: Room
  #held: LogEvent[] | null = null
  #loadId = 0
  #retry: RetryTimer

  constructor(client: Client, room: Room, root_id: string) {
    super()
    this.#client = client
    this.#room = room
    this.root_id = root_id
    this.#retry = new RetryTimer(() => void this.#load(), client.random)
    client.addEventListener('frame', this.#onFrame)
    void this.#load()
  }

  close(): void {
    this.#client.removeEventListener('frame', this.#onFrame)
    this.#loadId++
    this.#retry.reset()
  }

  /** The thread with what waits in the outbox to change its messages. */
  get shown(): Timeline | null {
    return this.timeline && this.#client.decorate(this.timeline, this.#waiting)
  }

  /** The replies that the server does not have yet. */
  get pending(): OutboxEntry[] {
    return this.#waiting.filter(entry => entry.extras?.thread_root === this.root_id)
  }

  get #waiting(): OutboxEntry[] {
    return this.#client.outbox.entriesOf(this.#room.id)
  }

  /** Loads the replies before the first one that is shown. @throws ChatError */
  async loadOlder(): Promise<void> {
    const { timeline } = this
    const first = timeline?.entries.find(({ seq }) => seq !== this.#rootSeq(timeline))
    if (!timeline || !first || !this.hasOlder) return
    const { messages, has_more } = await this.#read(first.seq)
    if (!this.timeline) return
    const known = new Set(this.timeline.entries.map(entry => entry.seq))
    const older = openThread(
      this.timeline,
      messages.filter(one => !known.has(one.seq)),
    ).entries
    const entries = [...older, ...this.timeline.entries].toSorted((a, b) => a.seq - b.seq)
    this.hasOlder = has_more
    this.timeline = { ...this.timeline, entries }
    this.#notify()
  }

  #rootSeq({ entries }: Timeline): number | undefined {
    return entries.find(entry => entry.kind === 'message' && entry.message.id === this.root_id)?.seq
  }

  async #load(): Promise<void> {
    const loadId = ++this.#loadId
    this.#held = []
    try {
      const { messages, has_more } = await this.#read(Number.MAX_SAFE_INTEGER)
      if (!messages.some(one => one.id === this.root_id)) messages.push(...(await this.#readRoot()))
      if (loadId !== this.#loadId) return
      const room = this.#room.log.current
      if (!room) throw new ChatError('offline', 'the room is not loaded')
      this.#retry.reset()
      const held = this.#held ?? []
      this.#held = null
      this.error = null
      this.hasOlder = has_more
      this.timeline = held.reduce(
        (thread, event) => foldThread(thread, event, this.root_id),
        openThread(room, messages),
      )
    } catch (cause) {
      if (loadId !== this.#loadId) return
      this.error = cause instanceof ChatError ? cause : new ChatError('other', String(cause))
      const isTemporary = this.error.retryable || this.error.status < 400
      if (isTemporary && !(cause instanceof AuthNeeded)) this.#retry.schedule(this.error.retry_after_ms)
    }
    this.#notify()
  }

  /** Reads the newest messages of the thread before a position. */
  async #read(before: number): Promise<{ messages: Message[]; has_more: boolean }> {
    const query = { thread: this.root_id, before, limit: PAGE }
    const { data } = await this.#client.api.GET('/api/chat/messages/', { params: { query } })
    return { messages: data.results.map(toMessage), has_more: 'has_more' in data && data.has_more }
  }

  /** Reads the root of a thread of several pages, unless it has been deleted. */
  async #readRoot(): Promise<Message[]> {
    const options = { params: { path: { id: this.root_id } } }
    try {
      const { data } = await this.#client.api.GET('/api/chat/messages/{id}/', options)
      return [toMessage(data)]
    } catch (cause) {
      if (cause instanceof ChatError && cause.status === 404) return []
      throw cause
    }
  }

  #onFrame = (event: Event): void => {
    const { detail: frame } = event as CustomEvent<ServerFrame>
    if (!('room_id' in frame) || frame.room_id !== this.#room.id) return
    // Without a position to resume from, a subscription begins anew, and frames may have been missed.
    if (frame.type === 'reset' || (frame.type === 'subscribed' && this.error)) void this.#load()
    else if ('seq' in frame && frame.type !== 'ack' && frame.type !== 'subscribed' && frame.type !== 'synced')
      this.#apply(frame)
  }

  #apply(event: LogEvent): void {
    if (this.#held) {
      if (this.#held.length < HELD_MAX) this.#held.push(event)
      else void this.#load()
      return
    }
    if (!this.timeline) return
    const before = this.timeline.entries
    this.timeline = foldThread(this.timeline, event, this.root_id)
    if (this.timeline.entries === before) return
    this.hasOlder ||= this.timeline.entries.length > REPLIES_MAX
    this.#notify()
  }

  #notify(): void {
    this.dispatchEvent(new Event('change'))
  }
}

/** Converts a REST message to the form that frames have. */
function toMessage(message: RestMessage): Message {
  const attachment = message.attachment && new URL(message.attachment, 'http://server').pathname
  return { ...message, room_id: message.room, attachment }
}
