/**
 * One person at one server: the façade that elements see.
 *
 * It owns the socket, the outbox and the inbox, and hands frames to the rooms that are open. It knows no DOM:
 * what differs between a browser and Node comes in as ports.
 */
import { Retry } from './backoff.ts'
import { Cache, type CacheStore } from './cache.ts'
import type { Api } from './calls.ts'
import { EMPTY_INBOX, type Inbox, withFrame, withoutRoom, withRooms } from './inbox.ts'
import { type Draft, Outbox, type OutboxStore } from './outbox.ts'
import { ChatError, createApi } from './rest.ts'
import { Room } from './room.ts'
import { type SocketState, UserSocket } from './socket.ts'
import { AuthNeeded, type TokenSource, Tokens } from './token.ts'
import type { Upload } from './upload.ts'
import type {
  ClientFrame,
  ErrorFrame,
  InboxFrame,
  ListRoom,
  Message,
  RoomFrame,
  ServerFrame,
} from './wire.ts'

/** The time within which a sent frame is answered, or the line counts as dead: the server's 10 s and the way. */
const ANSWER_MS = 12_000
/** Rooms read for the list. */
const ROOMS_PAGE = 100
const ROOM_PAGES_MAX = 10
/** Signed file addresses kept. */
const FILES_MAX = 1_000

/** What differs between a browser and Node. */
export interface Ports {
  readonly WebSocket: typeof WebSocket
  readonly fetch: typeof fetch
  readonly upload: Upload
  readonly store: (server: string, user: number) => Promise<OutboxStore>
  /** Where what was read is kept for the time without a line; without, it is in memory only. */
  readonly cache?: (server: string, user: number) => Promise<CacheStore>
  readonly random: () => number
  readonly now: () => number
}

interface Waiter {
  readonly resolve: (seq: number) => void
  readonly reject: (error: ChatError) => void
  readonly timer: ReturnType<typeof setTimeout>
}

/** Events: `change` (state, inbox), `auth-needed`, `news` (a CustomEvent with the inbox frame). */
export class Client extends EventTarget {
  readonly server: string
  readonly api: Api
  readonly outbox: Outbox
  readonly cache: Cache
  inbox: Inbox = EMPTY_INBOX
  /** Why the list could not be read, while it is tried again. */
  listTrouble: ChatError | null = null
  /** The person's id; known as soon as there is a token. */
  me: number | null
  username = ''
  state: SocketState = 'closed'
  /** When the line went down, by this device's clock; null while it is up. */
  downSince_ms: number | null = null
  #socket: UserSocket
  #tokens: Tokens
  #rooms = new Map<string, Room>()
  #waiters = new Map<string, Waiter>()
  #files = new Map<string, string>()
  /** While the list is read: what is heard meanwhile, which may be newer than what is read. */
  #meanwhile: InboxFrame[] | null = null
  #listAgain = false
  /** The list is the server's, not what was kept. */
  #listed = false
  #kept = EMPTY_INBOX
  /** Of the outbox: the list shows where something was not sent. */
  #failed = 0
  #listRetry: Retry

  constructor(
    server: string,
    user: number,
    source: TokenSource,
    private readonly ports: Ports,
    /** What the source has given already, if it was asked. */
    first: string | null = null,
  ) {
    super()
    this.server = server.replace(/\/$/, '')
    this.me = user
    this.#tokens = new Tokens(source, ports.now, first)
    this.api = createApi(this.server, this.#tokens, ports.fetch)
    this.#listRetry = new Retry(() => void this.list(), ports.random)
    this.cache = new Cache(ports.cache?.(this.server, user) ?? null)
    this.outbox = new Outbox(
      ports.store(this.server, user),
      (draft, onProgress, signal) => this.#send(draft, onProgress, signal),
      room => this.#outboxChanged(room),
      ports.random,
    )
    this.#socket = new UserSocket(
      {
        url: `${this.server.replace(/^http/, 'ws')}/ws/chat/`,
        tokens: this.#tokens,
        WebSocket: ports.WebSocket,
        random: ports.random,
        now: ports.now,
      },
      { onState: state => this.#becomes(state), onFrame: frame => this.#hears(frame) },
    )
  }

  start(): void {
    this.downSince_ms = this.ports.now()
    this.#socket.start()
    void this.outbox.load()
    void this.#recall()
  }

  stop(): void {
    this.#socket.stop()
    this.outbox.stop()
    this.#listRetry.end()
    void this.cache.flush()
  }

  /** Shows the list as it was last until there is a newer one. */
  async #recall(): Promise<void> {
    const kept = await this.cache.list()
    if (!kept || this.inbox.loaded) return
    this.inbox = { ...kept, loaded: true }
    this.#changed()
  }

  /** Takes another token or source of the same person, and goes on where it stopped. */
  renew(source: TokenSource, first: string | null = null): void {
    this.#tokens.replace(source, first)
    this.#socket.start()
  }

  /** Gives the room with `id`, the same one to all who ask while it is open. */
  room(id: string): Room {
    let room = this.#rooms.get(id)
    if (!room) {
      room = new Room(id, this)
      this.#rooms.set(id, room)
    }
    return room
  }

  /** Called by a room that nobody follows any more. */
  forget(room: Room): void {
    if (this.#rooms.get(room.id) === room) this.#rooms.delete(room.id)
  }

  get random(): () => number {
    return this.ports.random
  }

  send(frame: ClientFrame): boolean {
    return this.#socket.send(frame)
  }

  /** The person or the network is back: see at once whether the line lives. */
  poke(): void {
    this.#socket.poke()
  }

  /** The person doesn't want to wait for the next try. */
  again(): void {
    if (this.state === 'open') void this.list()
    else this.poke()
  }

  reconnect(): void {
    this.#socket.reconnect()
  }

  /** The network is gone, says the device: don't wait for the line to be found dead. */
  lost(): void {
    this.#socket.lost()
  }

  /** Whether there is a line, or one is being made for the first time. */
  get reachable(): boolean {
    return this.state === 'open' || this.state === 'connecting'
  }

  /** Gives an address of a message's file that needs no header; it holds for a day. @throws ChatError */
  async fileUrl(message: Message): Promise<string> {
    const known = this.#files.get(message.id)
    if (known && expiry(known) > this.ports.now()) return known
    const { data } = await this.api.GET('/api/chat/messages/{id}/', { params: { path: { id: message.id } } })
    if (!data.attachment) throw new ChatError('not_found', 'no file')
    const url = new URL(data.attachment, this.server).href
    if (this.#files.size >= FILES_MAX) this.#files.delete(this.#files.keys().next().value!)
    this.#files.set(message.id, url)
    return url
  }

  /** Reads the list of rooms anew, and again until it has succeeded. */
  async list(): Promise<void> {
    if (this.#meanwhile) {
      this.#listAgain = true
      return
    }
    this.#listRetry.begun()
    try {
      do {
        this.#listAgain = false
        this.#meanwhile = []
        const rooms = await this.#allRooms()
        this.inbox = withRooms(this.inbox, rooms)
        for (const frame of this.#meanwhile) this.inbox = withFrame(this.inbox, frame).inbox
        this.#listed = true
        this.#listRetry.end()
        this.listTrouble = null
        this.#changed()
      } while (this.#listAgain)
    } catch (cause) {
      this.#listFailed(cause)
    } finally {
      this.#meanwhile = null
    }
  }

  /** Without a line the next one brings the list; without a token another one brings the line. */
  #listFailed(cause: unknown): void {
    if (cause instanceof AuthNeeded) return
    this.listTrouble = cause instanceof ChatError ? cause : new ChatError('other', String(cause))
    if (this.state === 'open') this.#listRetry.later(this.listTrouble.retry_after_ms)
    this.#changed()
  }

  async #allRooms(): Promise<ListRoom[]> {
    const rooms: ListRoom[] = []
    let cursor: string | undefined
    for (let page = 1; page <= ROOM_PAGES_MAX; page++) {
      const { data } = await this.api.GET('/api/chat/rooms/', {
        params: { query: { page_size: ROOMS_PAGE, include_archived: true, ...(cursor && { cursor }) } },
      })
      rooms.push(...data.results)
      if (!data.next_cursor) break
      cursor = data.next_cursor
    }
    return rooms
  }

  #becomes(state: SocketState): void {
    this.state = state
    if (state === 'open') this.downSince_ms = null
    else this.downSince_ms ??= this.ports.now()
    if (state !== 'open') this.#failAll(new ChatError('offline', 'offline'))
    if (!this.reachable) for (const room of this.#rooms.values()) room.unreachable()
    if (state === 'refused') this.dispatchEvent(new Event('auth-needed'))
    this.#changed()
  }

  #hears(frame: ServerFrame): void {
    switch (frame.type) {
      case 'connection_established':
        this.me = frame.user_id
        this.username = frame.username
        this.inbox = { ...this.inbox, total_unread: frame.unread_count }
        for (const room of this.#rooms.values()) room.connect()
        void this.list()
        this.outbox.kick()
        this.#changed()
        return
      case 'inbox': {
        const { inbox, known } = withFrame(this.inbox, frame)
        this.inbox = inbox
        this.#meanwhile?.push(frame)
        // One that is about to be tried again needn't be asked for by each frame.
        if (!known && !this.#listRetry.waiting) void this.list()
        this.#changed()
        this.dispatchEvent(new CustomEvent('news', { detail: frame }))
        return
      }
      case 'room_added':
        void this.list()
        return
      case 'room_removed':
        this.inbox = withoutRoom(this.inbox, frame)
        this.cache.forget(frame.room_id)
        this.#listAgain = true
        this.#rooms.get(frame.room_id)?.removed()
        this.#changed()
        return
      case 'error':
        this.#refused(frame)
        return
      case 'ack':
        this.#waiter(frame.client_id)?.resolve(frame.seq)
        return
      case 'pong':
      case 'auth_ok':
      case 'going_away':
        return
      default:
        this.#rooms.get(frame.room_id)?.hear(frame as RoomFrame)
    }
  }

  #outboxChanged(room: string): void {
    this.#rooms.get(room)?.outboxChanged()
    const { failed } = this.outbox
    if (failed === this.#failed) return
    this.#failed = failed
    this.#changed()
  }

  #refused(frame: ErrorFrame): void {
    const code = frame.code ?? 'invalid'
    const error = new ChatError(code, frame.message, 0, (frame.retry_after ?? 0) * 1000)
    if (frame.client_id) this.#waiter(frame.client_id)?.reject(error)
    else if (frame.room_id && code === 'forbidden') this.#rooms.get(frame.room_id)?.removed()
    // The message that was read is deleted; another one is read next.
    else if (frame.room_id && code === 'not_found') this.#rooms.get(frame.room_id)?.unread()
  }

  async #send(
    draft: Draft,
    onProgress: (share: number) => void,
    signal: AbortSignal,
  ): Promise<number | null> {
    if (draft.file) {
      const url = `${this.server}/api/chat/messages/`
      return (await this.ports.upload(url, this.#tokens, draft, onProgress, signal)).seq
    }
    return new Promise((resolve, reject) => {
      const frame: ClientFrame = {
        type: 'chat_message',
        room_id: draft.room_id,
        message: draft.content,
        client_id: draft.client_id,
        ...(draft.reply_to ? { reply_to: draft.reply_to.id } : {}),
      }
      if (!this.#socket.send(frame)) {
        reject(new ChatError('offline', 'offline'))
        return
      }
      const timer = setTimeout(() => {
        this.#waiter(draft.client_id)?.reject(new ChatError('unknown_outcome', 'no answer'))
        this.#socket.reconnect()
      }, ANSWER_MS)
      this.#waiters.set(draft.client_id, { resolve, reject, timer })
    })
  }

  /** Takes the one who waits for an answer about `client_id`. */
  #waiter(client_id: string): Waiter | null {
    const waiter = this.#waiters.get(client_id)
    if (!waiter) return null
    clearTimeout(waiter.timer)
    this.#waiters.delete(client_id)
    return waiter
  }

  #failAll(error: ChatError): void {
    for (const client_id of [...this.#waiters.keys()]) this.#waiter(client_id)?.reject(error)
  }

  #changed(): void {
    if (this.#listed && this.inbox !== this.#kept) this.cache.keepList(this.inbox)
    this.#kept = this.inbox
    this.dispatchEvent(new Event('change'))
  }
}

/** When a signed address ends, in milliseconds of the epoch. */
function expiry(url: string): number {
  return Number(new URL(url).searchParams.get('exp') ?? 0) * 1000 - 60_000
}
