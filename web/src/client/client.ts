/**
 * One user at one server: the façade that the elements use.
 *
 * It owns the socket, the outbox and the room list, and passes frames to the open rooms. It does not depend on
 * the DOM: whatever differs between a browser and Node is injected as ports.
 */
import type { Api } from './api.ts'
import { RetryTimer } from './backoff.ts'
import { type CacheStore, RoomCache } from './cache.ts'
import { ChatError } from './errors.ts'
import { EMPTY_INBOX, type Inbox, withFrame, withoutRoom, withRooms } from './inbox.ts'
import { Outbox, type OutboxEntry, type OutboxStore, type OutgoingMessage } from './outbox.ts'
import { createApi } from './rest.ts'
import { Room } from './room.ts'
import type { RoomContext } from './room-context.ts'
import { type SocketState, UserSocket } from './socket.ts'
import type { Timeline } from './timeline.ts'
import { AuthNeeded, type TokenSource, Tokens } from './tokens.ts'
import type { Upload } from './upload.ts'
import type {
  ClientFrame,
  ErrorFrame,
  InboxFrame,
  ListedRoom,
  Message,
  RoomFrame,
  ServerFrame,
} from './wire.ts'

/** Time for the answer to a sent message: the server's 10 s and the transit. After it the client reconnects. */
const ANSWER_MS = 12_000
/** Rooms per page of the list, and the maximum number of pages. */
const ROOMS_PAGE = 100
const ROOM_PAGES_MAX = 10
/** Number of signed file URLs kept. */
const FILE_URLS_MAX = 1_000

/** What differs between a browser and Node. */
export interface Ports {
  readonly WebSocket: typeof WebSocket
  readonly fetch: typeof fetch
  readonly upload: Upload
  readonly store: (server: string, user: number) => Promise<OutboxStore>
  /** Opens the persistent cache; without it the cache is in memory only. */
  readonly cache?: (server: string, user: number) => Promise<CacheStore>
  readonly random: () => number
  readonly now: () => number
}

/** A message that has been sent and not yet answered. */
interface PendingSend {
  readonly resolve: (seq: number) => void
  readonly reject: (error: ChatError) => void
  readonly timer: ReturnType<typeof setTimeout>
}

/** Events: `change` (state, inbox), `auth-needed`, `frame` (a CustomEvent with a frame that has been handled). */
export class Client extends EventTarget implements RoomContext {
  readonly server: string
  readonly api: Api
  readonly outbox: Outbox
  readonly cache: RoomCache
  inbox: Inbox = EMPTY_INBOX
  /** Why the list could not be loaded; null once it has been. */
  listError: ChatError | null = null
  /** The user's id. */
  me: number | null
  /** The user's name; empty until the first connection. */
  username = ''
  state: SocketState = 'closed'
  /** When the connection was lost, by the device's clock; null while there is one. */
  downSince_ms: number | null = null
  /** Replaced once the user reacts to a message or ticks a card: see `reactions.ts` and `cards.ts`. */
  decorate = (timeline: Timeline, _waiting: readonly OutboxEntry[]): Timeline => timeline
  #ports: Ports
  #socket: UserSocket
  #tokens: Tokens
  #rooms = new Map<string, Room>()
  #pendingSends = new Map<string, PendingSend>()
  #fileUrls = new Map<string, string>()
  /** Frames that arrive while the list is loaded, which may be newer than the response. */
  #framesDuringLoad: InboxFrame[] | null = null
  #reloadList = false
  /** The list is the server's, not the cached one. */
  #listLoaded = false
  /** The list that was cached last. */
  #savedInbox = EMPTY_INBOX
  /** The outbox's number of failed entries, which the list shows. */
  #failed = 0
  #listRetry: RetryTimer

  /** `first` is the token that the source has already returned, if it was asked. */
  constructor(server: string, user: number, source: TokenSource, ports: Ports, first: string | null = null) {
    super()
    this.#ports = ports
    this.server = server.replace(/\/$/, '')
    this.me = user
    this.#tokens = new Tokens(source, ports.now, first)
    this.api = createApi(this.server, this.#tokens, ports.fetch)
    this.#listRetry = new RetryTimer(() => void this.loadRooms(), ports.random)
    this.cache = new RoomCache(ports.cache?.(this.server, user) ?? null)
    this.outbox = new Outbox(
      ports.store(this.server, user),
      (message, onProgress, signal) => this.#send(message, onProgress, signal),
      room => this.#onOutboxChange(room),
      ports.random,
    )
    this.outbox.onRefused = ({ room_id }, error) => this.#rooms.get(room_id)?.onRefused(error)
    this.#socket = new UserSocket(
      {
        url: `${this.server.replace(/^http/, 'ws')}/ws/chat/`,
        tokens: this.#tokens,
        WebSocket: ports.WebSocket,
        random: ports.random,
        now: ports.now,
      },
      {
        onState: state => this.#setState(state),
        onFrame: frame => {
          this.#onFrame(frame)
          this.dispatchEvent(new CustomEvent('frame', { detail: frame }))
        },
      },
    )
  }

  start(): void {
    this.downSince_ms = this.#ports.now()
    this.#socket.start()
    void this.outbox.load()
    void this.#restoreList()
  }

  stop(): void {
    this.#socket.stop()
    this.outbox.stop()
    this.#listRetry.reset()
    void this.cache.flush()
  }

  /** Shows the cached list until the server's has been loaded. */
  async #restoreList(): Promise<void> {
    const cached = await this.cache.loadList()
    if (!cached || this.inbox.loaded) return
    this.inbox = { ...cached, loaded: true }
    this.#notify()
  }

  /** Replaces the token source by another one of the same user, and connects if the old one was refused. */
  setTokenSource(source: TokenSource, first: string | null = null): void {
    this.#tokens.replace(source, first)
    this.#socket.start()
  }

  /** Returns the room with `id`. While it is open, every caller gets the same object. */
  room(id: string): Room {
    let room = this.#rooms.get(id)
    if (!room) {
      room = new Room(id, this)
      this.#rooms.set(id, room)
    }
    return room
  }

  releaseRoom(room: { readonly id: string }): void {
    if (this.#rooms.get(room.id) === room) this.#rooms.delete(room.id)
  }

  get random(): () => number {
    return this.#ports.random
  }

  send(frame: ClientFrame): boolean {
    return this.#socket.send(frame)
  }

  /** Verifies the connection now, or reconnects now: the user or the network has returned. */
  checkConnection(): void {
    this.#socket.check()
  }

  /** The user asks for the next attempt now. */
  retry(): void {
    if (this.state === 'open') void this.loadRooms()
    else this.checkConnection()
  }

  reconnect(): void {
    this.#socket.reconnect()
  }

  /** The device reports that it is offline. */
  onOffline(): void {
    this.#socket.onOffline()
  }

  get reachable(): boolean {
    return this.state === 'open' || this.state === 'connecting'
  }

  /** Returns a signed URL of a message's file, which is valid for a day. @throws ChatError */
  async fileUrl(message: Message): Promise<string> {
    const known = this.#fileUrls.get(message.id)
    if (known && expiryOf(known) > this.#ports.now()) return known
    const { data } = await this.api.GET('/api/chat/messages/{id}/', { params: { path: { id: message.id } } })
    if (!data.attachment) throw new ChatError('not_found', 'no file')
    const url = new URL(data.attachment, this.server).href
    if (this.#fileUrls.size >= FILE_URLS_MAX) this.#fileUrls.delete(this.#fileUrls.keys().next().value!)
    this.#fileUrls.set(message.id, url)
    return url
  }

  /** Loads the list of rooms, and retries until it has succeeded. */
  async loadRooms(): Promise<void> {
    if (this.#framesDuringLoad) {
      this.#reloadList = true
      return
    }
    this.#listRetry.cancel()
    try {
      do {
        this.#reloadList = false
        this.#framesDuringLoad = []
        const rooms = await this.#readRooms()
        this.inbox = withRooms(this.inbox, rooms)
        for (const frame of this.#framesDuringLoad) this.inbox = withFrame(this.inbox, frame).inbox
        this.#listLoaded = true
        this.#listRetry.reset()
        this.listError = null
        this.#notify()
      } while (this.#reloadList)
    } catch (cause) {
      this.#onListError(cause)
    } finally {
      this.#framesDuringLoad = null
    }
  }

  /** Retries only while connected: each new connection loads the list, and each new token connects. */
  #onListError(cause: unknown): void {
    if (cause instanceof AuthNeeded) return
    this.listError = cause instanceof ChatError ? cause : new ChatError('other', String(cause))
    if (this.state === 'open') this.#listRetry.schedule(this.listError.retry_after_ms)
    this.#notify()
  }

  async #readRooms(): Promise<ListedRoom[]> {
    const rooms: ListedRoom[] = []
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

  #setState(state: SocketState): void {
    this.state = state
    if (state === 'open') this.downSince_ms = null
    else this.downSince_ms ??= this.#ports.now()
    if (state !== 'open') this.#rejectPendingSends(new ChatError('offline', 'offline'))
    if (!this.reachable) for (const room of this.#rooms.values()) room.onOffline()
    if (state === 'refused') this.dispatchEvent(new Event('auth-needed'))
    this.#notify()
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'connection_established':
        this.me = frame.user_id
        this.username = frame.username
        this.inbox = { ...this.inbox, total_unread: frame.unread_count }
        for (const room of this.#rooms.values()) room.subscribe()
        void this.loadRooms()
        this.outbox.flush()
        this.#notify()
        return
      case 'inbox': {
        const { inbox, known } = withFrame(this.inbox, frame)
        this.inbox = inbox
        this.#framesDuringLoad?.push(frame)
        // If a retry is scheduled, it will include the room.
        if (!known && !this.#listRetry.scheduled) void this.loadRooms()
        this.#notify()
        return
      }
      case 'room_added':
        void this.loadRooms()
        this.#rooms.get(frame.room.id)?.onAdded()
        return
      case 'room_removed':
        this.inbox = withoutRoom(this.inbox, frame)
        this.cache.removeRoom(frame.room_id)
        this.#reloadList = true
        this.#rooms.get(frame.room_id)?.onRemoved()
        this.#notify()
        return
      case 'error':
        this.#onErrorFrame(frame)
        return
      case 'ack':
        this.#takePendingSend(frame.client_id)?.resolve(frame.seq ?? 0)
        return
      case 'pong':
      case 'auth_ok':
      case 'going_away':
      case 'notification':
      case 'notification_gone':
        return
      default:
        this.#rooms.get(frame.room_id)?.onFrame(frame as RoomFrame)
    }
  }

  #onOutboxChange(room: string): void {
    this.#rooms.get(room)?.onOutboxChange()
    const { failed } = this.outbox
    if (failed === this.#failed) return
    this.#failed = failed
    this.#notify()
  }

  #onErrorFrame(frame: ErrorFrame): void {
    const code = frame.code ?? 'invalid'
    const error = new ChatError(code, frame.message, 0, (frame.retry_after ?? 0) * 1000)
    if (frame.client_id) this.#takePendingSend(frame.client_id)?.reject(error)
    else if (frame.room_id && code === 'forbidden') this.#rooms.get(frame.room_id)?.onRemoved()
    else if (frame.room_id && code === 'not_found') this.#rooms.get(frame.room_id)?.onReceiptRejected()
  }

  async #send(
    message: OutgoingMessage,
    onProgress: (share: number) => void,
    signal: AbortSignal,
  ): Promise<number | null> {
    if (message.file) {
      const url = `${this.server}/api/chat/messages/`
      return (await this.#ports.upload(url, this.#tokens, message, onProgress, signal)).seq
    }
    return new Promise((resolve, reject) => {
      const { room_id, client_id, reply_to, change, mentions } = message
      const frame: ClientFrame = change
        ? { room_id, client_id, ...change }
        : {
            type: 'chat_message',
            room_id,
            message: message.content,
            client_id,
            ...(reply_to && { reply_to: reply_to.id }),
            ...message.extras,
            ...mentions,
          }
      if (!this.#socket.send(frame)) {
        reject(new ChatError('offline', 'offline'))
        return
      }
      const timer = setTimeout(() => {
        this.#takePendingSend(client_id)?.reject(new ChatError('unknown_outcome', 'no answer'))
        this.#socket.reconnect()
      }, ANSWER_MS)
      this.#pendingSends.set(client_id, { resolve, reject, timer })
    })
  }

  /** Removes and returns the pending send of `client_id`. */
  #takePendingSend(client_id: string): PendingSend | null {
    const pending = this.#pendingSends.get(client_id)
    if (!pending) return null
    clearTimeout(pending.timer)
    this.#pendingSends.delete(client_id)
    return pending
  }

  #rejectPendingSends(error: ChatError): void {
    for (const client_id of [...this.#pendingSends.keys()]) this.#takePendingSend(client_id)?.reject(error)
  }

  #notify(): void {
    if (this.#listLoaded && this.inbox !== this.#savedInbox) this.cache.saveList(this.inbox)
    this.#savedInbox = this.inbox
    this.dispatchEvent(new Event('change'))
  }
}

/** Returns when a signed URL has to be renewed, in milliseconds since the epoch. */
function expiryOf(url: string): number {
  return Number(new URL(url).searchParams.get('exp') ?? 0) * 1000 - 60_000
}
