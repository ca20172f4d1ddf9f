/**
 * The threads that the user takes part in, with the number of replies that the user has not read.
 *
 * The list is read for each connection. Between two reads it follows the frames of the rooms that are open.
 */
import { RetryTimer } from './backoff.ts'
import type { Client } from './client.ts'
import { ChatError } from './errors.ts'
import type { EventFrame, Message, RestMessage, RoomFrame, ServerFrame } from './wire.ts'

/** Threads that are read, those with the latest replies. */
const THREADS_MAX = 100
/** Delay of a further read, which then serves all frames that have come meanwhile. */
const PAUSE_MS = 1_000
/** Number of threads of others that are remembered, so that their replies cause no read. */
const FOREIGN_MAX = 1_000

/** A thread: its root, whose `thread` has the sums. */
export interface ListedThread {
  readonly root: RestMessage
  readonly unread: number
}

export type ThreadFrame = EventFrame | RoomFrame

/** Returns the thread in the list after a frame of its room. */
export function threadAfter(listed: ListedThread, frame: ThreadFrame, me: number | null): ListedThread {
  const { root, unread } = listed
  const { thread, rev } = root
  if (frame.type === 'chat_message' && isReplyTo(frame.message, root.id)) {
    if (frame.seq <= rev || !thread) return listed
    const sums = { ...thread, replies: thread.replies + 1, last_reply_at: frame.message.created_at }
    const isOther = frame.message.sender.id !== me
    return { root: { ...root, rev: frame.seq, thread: sums }, unread: unread + (isOther ? 1 : 0) }
  }
  const isRead = frame.type === 'read_receipt' && frame.user_id === me && frame.up_to >= rev
  return isRead && unread > 0 ? { ...listed, unread: 0 } : listed
}

/** Whether the list has to be read again, because a frame does not tell enough about a thread. */
export function isUnclear(listed: ListedThread, frame: ThreadFrame, me: number | null): boolean {
  const { root, unread } = listed
  if (frame.type === 'message_deleted')
    return frame.message_id === root.id || frame.thread?.root_id === root.id
  return frame.type === 'read_receipt' && frame.user_id === me && unread > 0 && frame.up_to < root.rev
}

function isReplyTo({ id, thread }: Message, root_id: string): boolean {
  return thread?.root_id === root_id && id !== root_id
}

/** Events: `change`. */
export class ThreadList extends EventTarget {
  /** The latest reply first. */
  threads: readonly ListedThread[] = []
  loaded = false
  error: ChatError | null = null
  #client: Client
  #retry: RetryTimer
  #timer: ReturnType<typeof setTimeout> | undefined
  #online = false
  /** Roots of threads that the user takes no part in. */
  #foreign = new Set<string>()
  /** Roots of which nothing is known until the next read. */
  #unknown = new Set<string>()

  constructor(client: Client) {
    super()
    this.#client = client
    this.#retry = new RetryTimer(() => void this.#load(), client.random)
    client.addEventListener('change', this.#onChange)
    client.addEventListener('frame', this.#onFrame)
    if (client.state === 'open') this.#onChange()
  }

  /** The number of unread replies, in all rooms or in one. */
  unread(room_id?: string): number {
    const counted = this.threads.filter(({ root }) => room_id === undefined || root.room === room_id)
    return counted.reduce((sum, { unread }) => sum + unread, 0)
  }

  /** The number of unread replies of one thread. */
  unreadOf(root_id: string): number {
    return this.threads.find(({ root }) => root.id === root_id)?.unread ?? 0
  }

  #stop(): void {
    this.#client.removeEventListener('change', this.#onChange)
    this.#client.removeEventListener('frame', this.#onFrame)
    this.#retry.reset()
    clearTimeout(this.#timer)
  }

  #onChange = (): void => {
    const { state } = this.#client
    if (state === 'closed') this.#stop()
    const online = state === 'open'
    if (online && !this.#online) void this.#load()
    this.#online = online
  }

  async #load(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    try {
      const query = { page_size: THREADS_MAX }
      const { data } = await this.#client.api.GET('/api/chat/threads/', { params: { query } })
      this.#retry.reset()
      this.loaded = true
      this.error = null
      this.threads = data.results.map(root => ({ root, unread: root.thread?.unread ?? 0 }))
      this.#forgetUnknown()
    } catch (cause) {
      this.error = cause instanceof ChatError ? cause : new ChatError('other', String(cause))
      // A server without threads is left alone; while there is no connection, the next one reads them.
      if (this.error.retryable && this.#online) this.#retry.schedule(this.error.retry_after_ms)
    }
    this.dispatchEvent(new Event('change'))
  }

  #forgetUnknown(): void {
    const own = new Set(this.threads.map(({ root }) => root.id))
    if (this.#foreign.size > FOREIGN_MAX) this.#foreign.clear()
    for (const id of this.#unknown) if (!own.has(id)) this.#foreign.add(id)
    this.#unknown.clear()
  }

  #onFrame = (event: Event): void => {
    const { me } = this.#client
    const frame = (event as CustomEvent<ServerFrame>).detail as ThreadFrame
    if (frame.type === 'chat_message') this.#onReply(frame.message)
    if (this.threads.some(listed => isUnclear(listed, frame, me))) this.#loadSoon()
    const threads = this.threads.map(listed => threadAfter(listed, frame, me))
    if (threads.every((listed, index) => listed === this.threads[index])) return
    const at = ({ root }: ListedThread) => Date.parse(root.thread?.last_reply_at ?? root.created_at)
    this.threads = threads.toSorted((a, b) => at(b) - at(a))
    this.dispatchEvent(new Event('change'))
  }

  /** A reply in a thread that is not listed may make it one of the user's. */
  #onReply({ id, thread, sender }: Message): void {
    if (!thread || thread.root_id === id) return
    const { root_id } = thread
    if (this.threads.some(({ root }) => root.id === root_id)) return
    if (sender.id !== this.#client.me && this.#foreign.has(root_id)) return
    this.#foreign.delete(root_id)
    this.#unknown.add(root_id)
    this.#loadSoon()
  }

  #loadSoon(): void {
    this.#timer ??= setTimeout(() => void this.#load(), PAUSE_MS)
  }
}

const lists = new WeakMap<Client, ThreadList>()

/** Returns the list of a client's user, which follows the client until that stops. */
export function threadsOf(client: Client): ThreadList {
  let list = lists.get(client)
  if (!list) {
    list = new ThreadList(client)
    lists.set(client, list)
  }
  return list
}
