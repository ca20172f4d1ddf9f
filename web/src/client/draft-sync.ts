/**
 * Keeps a user's drafts the same on all devices.
 *
 * What is typed here is sent to the server after a pause, and what is typed elsewhere is shown here, unless
 * the user is typing in the same room. A change that the server does not have yet is never overwritten; it is
 * sent when there is a connection again. A server without drafts is left alone.
 */
import { RetryTimer } from './backoff.ts'
import type { Client } from './client.ts'
import { ChatError } from './errors.ts'
import type { DraftFrame, Message, ServerFrame } from './wire.ts'

/** A change is sent after a pause in typing of this length; the end of a draft nearly at once. */
const PAUSE_MS = 1_000
const END_MS = 100
/** Time after which what waits for the user is tried again. */
const IDLE_MS = 6_000
/** Drafts per page, and the maximum number of pages. */
const PAGE = 25
const PAGES_MAX = 8

/** The drafts of this device, by room. */
export interface LocalDrafts {
  /** The rooms with a text. */
  rooms(): string[]
  text(room: string): string
  /** The message that the draft replies to. */
  reply(room: string): Message | null
  /** Shows a text that was typed on another device. */
  receive(room: string, text: string): void
  receiveReply(room: string, message: Message | null): void
  /** Whether the user is typing in the room. */
  isBusy(room: string): boolean
  /** What the last tab has stored with `saveState`. */
  loadState(): DraftState
  saveState(state: DraftState): void
}

/** For each room the time of the server's draft that this device has, or `UNSENT` for one of its own. */
export type DraftState = Readonly<Record<string, string>>
const UNSENT = ''

/** A draft as the server has it. */
type ServerDraft = Omit<DraftFrame, 'type'>

export class DraftSync {
  #client: Client
  #local: LocalDrafts
  /** What the server has, as far as it is known. */
  #server = new Map<string, ServerDraft>()
  /** Drafts of other devices that wait until the user no longer types in their rooms. */
  #waiting = new Map<string, ServerDraft>()
  #timers = new Map<string, ReturnType<typeof setTimeout>>()
  #idleTimer: ReturnType<typeof setTimeout> | undefined
  #sending = new Set<string>()
  #retry: RetryTimer
  #online = false
  #openRoom = ''
  /** The server has no drafts. */
  #unsupported = false

  constructor(client: Client, local: LocalDrafts) {
    this.#client = client
    this.#local = local
    this.#retry = new RetryTimer(() => this.#sendAll(), client.random)
    client.addEventListener('change', this.#onChange)
    client.addEventListener('frame', this.#onFrame)
    if (client.state === 'open') this.#onChange()
  }

  /** Stops following the client. */
  stop(): void {
    this.#client.removeEventListener('change', this.#onChange)
    this.#client.removeEventListener('frame', this.#onFrame)
    this.#retry.reset()
    clearTimeout(this.#idleTimer)
    for (const timer of this.#timers.values()) clearTimeout(timer)
  }

  /** The user has changed the draft in a room. */
  onTyped(room: string): void {
    if (this.#unsupported) return
    this.#waiting.delete(room)
    this.#setState(room, UNSENT)
    this.#schedule(room, this.#content(room) ? PAUSE_MS : END_MS)
  }

  /** Sends what is waiting at once: the page may be closed. */
  flush(): void {
    for (const room of [...this.#timers.keys()]) this.#schedule(room, 0)
  }

  /** Shows what has waited, in rooms in which the user no longer types. */
  onIdle(): void {
    for (const draft of [...this.#waiting.values()]) this.#receive(draft)
  }

  /** Shows the message that a draft from another device replies to, in the room that is open now. */
  async loadReply(room: string): Promise<void> {
    this.#openRoom = room
    const draft = this.#server.get(room)
    const isWanted = () => draft?.content === this.#content(room) && !this.#local.reply(room)
    if (!draft?.reply_to_id || !isWanted()) return
    const options = { params: { path: { id: draft.reply_to_id } } }
    try {
      const { data } = await this.#client.api.GET('/api/chat/messages/{id}/', options)
      if (isWanted()) this.#local.receiveReply(room, { ...data, room_id: data.room })
    } catch {
      // The message has been deleted.
    }
  }

  #onChange = (): void => {
    const { state } = this.#client
    if (state === 'closed') this.stop()
    const online = state === 'open'
    if (online && !this.#online) void this.#load()
    this.#online = online
  }

  #onFrame = (event: Event): void => {
    const { detail: frame } = event as CustomEvent<ServerFrame>
    if (frame.type === 'draft') this.#receive(frame)
  }

  /** Reads the server's drafts. Called for each connection, because frames may have been missed. */
  async #load(): Promise<void> {
    if (this.#unsupported) return
    const before = this.#local.loadState()
    const found = new Map<string, ServerDraft>()
    let complete = false
    try {
      for (let page = 1; page <= PAGES_MAX && !complete; page++) {
        const query = { page, page_size: PAGE }
        const { data } = await this.#client.api.GET('/api/chat/drafts/', { params: { query } })
        for (const draft of data.results) found.set(draft.room_id, draft)
        complete = !data.next
      }
    } catch (cause) {
      if (cause instanceof ChatError && cause.status === 404) this.#unsupported = true
      // Any other error is followed by another connection, or by frames.
      return
    }
    for (const draft of found.values()) this.#receive(draft)
    const state = this.#local.loadState()
    for (const [room, updated_at] of complete ? Object.entries(before) : []) {
      if (updated_at === UNSENT || found.has(room) || state[room] !== updated_at) continue
      this.#receive({ room_id: room, content: '', reply_to_id: null, updated_at })
    }
    this.#sendAll()
  }

  /** Takes over a draft of another device unless this one has changed or a newer one. */
  #receive(draft: ServerDraft): void {
    const { room_id: room, content, updated_at } = draft
    const known = this.#server.get(room)
    if (known && Date.parse(updated_at) < Date.parse(known.updated_at)) return
    this.#server.set(room, draft)
    this.#waiting.delete(room)
    if (this.#isUnsent(room)) return
    if (content !== this.#content(room) && this.#local.isBusy(room)) {
      this.#waiting.set(room, draft)
      clearTimeout(this.#idleTimer)
      this.#idleTimer = setTimeout(() => this.onIdle(), IDLE_MS)
      return
    }
    if (content !== this.#content(room)) this.#local.receive(room, content)
    if (!content) this.#local.receiveReply(room, null)
    this.#setState(room, content ? updated_at : null)
    if (room === this.#openRoom) void this.loadReply(room)
  }

  #isUnsent(room: string): boolean {
    const state = this.#local.loadState()[room]
    return this.#sending.has(room) || state === UNSENT || (state === undefined && this.#content(room) !== '')
  }

  /** Returns the text of a draft; white space alone is none. */
  #content(room: string): string {
    const text = this.#local.text(room)
    return text.trim() ? text : ''
  }

  #replyTo(room: string): string | null {
    return this.#content(room) ? (this.#local.reply(room)?.id ?? null) : null
  }

  #setState(room: string, value: string | null): void {
    const { [room]: before, ...others } = this.#local.loadState()
    if ((before ?? null) !== value)
      this.#local.saveState(value === null ? others : { ...others, [room]: value })
  }

  #sendAll(): void {
    const rooms = new Set([...Object.keys(this.#local.loadState()), ...this.#local.rooms()])
    for (const room of rooms) if (this.#isUnsent(room)) this.#schedule(room, 0)
  }

  #schedule(room: string, wait_ms: number): void {
    clearTimeout(this.#timers.get(room))
    this.#timers.set(
      room,
      setTimeout(() => void this.#send(room), wait_ms),
    )
  }

  async #send(room: string): Promise<void> {
    this.#timers.delete(room)
    // What is not sent now is sent by the next connection, or once the call that is under way has ended.
    if (this.#sending.has(room) || this.#unsupported || this.#client.state !== 'open') return
    const content = this.#content(room)
    const reply_to = this.#replyTo(room)
    const known = this.#server.get(room)
    if (content === (known?.content ?? '') && reply_to === (known?.reply_to_id ?? null)) {
      this.#setState(room, content ? known!.updated_at : null)
      return
    }
    this.#sending.add(room)
    const outcome = await this.#put(room, content, reply_to)
    this.#sending.delete(room)
    if (outcome === 'later') {
      this.#retry.schedule()
    } else if (content !== this.#content(room) || reply_to !== this.#replyTo(room)) {
      this.#schedule(room, PAUSE_MS)
    } else {
      this.#setState(room, content && outcome ? outcome.updated_at : null)
    }
  }

  /** Returns the stored draft, null if it was refused, or `later` if it is to be sent again. */
  async #put(room: string, content: string, reply_to: string | null): Promise<ServerDraft | null | 'later'> {
    const options = { params: { path: { id: room } }, body: { content, ...(reply_to && { reply_to }) } }
    try {
      const { data } = await this.#client.api.PUT('/api/chat/rooms/{id}/draft/', options)
      this.#retry.reset()
      const known = this.#server.get(room)
      if (!known || Date.parse(known.updated_at) <= Date.parse(data.updated_at)) this.#server.set(room, data)
      return data
    } catch (cause) {
      if (!(cause instanceof ChatError) || cause.retryable) return 'later'
      // The message that the draft replies to may have been deleted.
      return reply_to && cause.status === 400 ? this.#put(room, content, null) : null
    }
  }
}
