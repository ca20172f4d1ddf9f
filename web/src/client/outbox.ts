/**
 * Messages and changes that the user has sent and the server has not stored yet.
 *
 * A message stays in the store until it is acknowledged or discarded, so it survives a closed tab. It is sent
 * with the same `client_id` each time, so the server stores it once. Each room has three queues, for texts,
 * files and changes, and each queue sends one message at a time: that preserves their order when one has to
 * be retried, and no text waits for an upload.
 */
import { backoffMs } from './backoff.ts'
import { ChatError } from './errors.ts'
import type { OutgoingChange, OutgoingExtras, Quote, SentMentions } from './wire.ts'

/** A message to be sent. `at_ms` is the device's clock; it is shown until the server's time is known. */
export interface OutgoingMessage {
  readonly client_id: string
  readonly room_id: string
  readonly content: string
  readonly reply_to: Quote | null
  readonly file: File | null
  /** Further files of the same message. */
  readonly more?: readonly File[]
  readonly at_ms: number
  readonly mentions?: SentMentions | undefined
  readonly extras?: OutgoingExtras
  /** In place of a text or a file: a reaction, a tick or a vote that is added or removed. */
  readonly change?: OutgoingChange
}

/**
 * A message in the store; `failed` is the code of the error by which the server has refused it.
 *
 * Of an entry, nothing else is read again.
 */
export interface StoredMessage extends OutgoingMessage {
  readonly failed?: string
}

/** `stored`: acknowledged with a `seq`, but its event has not arrived yet. */
export type SendState = 'waiting' | 'sending' | 'stored' | 'failed'

export interface OutboxEntry extends OutgoingMessage {
  readonly state: SendState
  readonly seq: number | null
  /** The error code of the last failure. */
  readonly code: string | null
  /** The share of the file that has been uploaded, 0 to 1. */
  readonly progress: number
}

/** A persistent store for messages that are not yet acknowledged. */
export interface OutboxStore {
  all(): Promise<StoredMessage[]>
  put(message: StoredMessage): Promise<void>
  delete(client_id: string): Promise<void>
}

/** Sends one message. Resolves with its `seq`; rejects with a ChatError. */
export type Send = (
  message: OutgoingMessage,
  onProgress: (share: number) => void,
  signal: AbortSignal,
) => Promise<number | null>

/** The number of entries at which further messages are refused, which bounds memory and disk. */
export const ENTRIES_MAX = 500
/** The most files of one message. */
export const FILES_MAX = 10

interface SendQueue {
  readonly room_id: string
  readonly kind: string
  attempt: number
  abort: AbortController | null
  timer: ReturnType<typeof setTimeout> | undefined
}

export class Outbox {
  #entries = new Map<string, OutboxEntry>()
  #queues = new Map<string, SendQueue>()
  #stopped = false
  #last_ms = 0
  #store: Promise<OutboxStore>
  #send: Send
  #onChange: (room_id: string) => void
  #random: () => number
  /** Called when the server has refused a change, which is dropped. */
  onRefused: (message: OutgoingMessage, error: ChatError) => void = () => {}

  constructor(
    store: Promise<OutboxStore>,
    send: Send,
    onChange: (room_id: string) => void,
    random: () => number = Math.random,
  ) {
    this.#store = store
    this.#send = send
    this.#onChange = onChange
    this.#random = random
  }

  /** Loads the messages that an earlier tab has left in the store. */
  async load(): Promise<void> {
    const messages = await this.#store.then(store => store.all()).catch(() => [])
    for (const message of messages.toSorted((a, b) => a.at_ms - b.at_ms)) {
      if (!this.#entries.has(message.client_id)) this.#entries.set(message.client_id, newEntry(message))
    }
    for (const room of new Set(messages.map(message => message.room_id))) this.#onChange(room)
    this.flush()
  }

  /** Returns a room's entries in sending order. */
  entriesOf(room_id: string): OutboxEntry[] {
    return [...this.#entries.values()].filter(entry => entry.room_id === room_id)
  }

  /** The number of failed entries, which wait for the user's decision. */
  get failed(): number {
    return [...this.#entries.values()].filter(entry => entry.state === 'failed').length
  }

  /** Queues a message. @throws ChatError `overloaded` if the outbox is full. */
  add(message: OutgoingMessage): void {
    if (this.#entries.size >= ENTRIES_MAX) throw new ChatError('overloaded', 'too much is waiting')
    // Times differ, because after a reload the order goes by them.
    this.#last_ms = Math.max(message.at_ms, this.#last_ms + 1)
    const timed = { ...message, at_ms: this.#last_ms }
    this.#entries.set(message.client_id, newEntry(timed))
    this.#put(timed)
    this.#onChange(message.room_id)
    void this.#run(this.#queueOf(message))
  }

  /** Sends a failed entry again. */
  retry(client_id: string): void {
    const entry = this.#entries.get(client_id)
    if (entry?.state !== 'failed') return
    this.#update({ ...entry, state: 'waiting', code: null })
    this.#put(entry)
    void this.#run(this.#queueOf(entry))
  }

  /** Discards an entry. If it is being sent, the request is aborted. */
  discard(client_id: string): void {
    const entry = this.#entries.get(client_id)
    if (!entry) return
    this.#remove(entry)
    if (entry.state === 'sending') this.#queueOf(entry).abort?.abort()
  }

  /** Removes an entry whose event the timeline now shows. */
  confirm(client_id: string): void {
    const entry = this.#entries.get(client_id)
    if (entry) this.#remove(entry)
  }

  /** Removes a room's entries that are stored at or before `seq`, because a freshly loaded page shows them. */
  confirmUpTo(room_id: string, seq: number): void {
    for (const entry of this.entriesOf(room_id)) {
      if (entry.state === 'stored' && entry.seq !== null && entry.seq <= seq) this.#remove(entry)
    }
  }

  /** Sends whatever is waiting without further delay. Called when the connection is back. */
  flush(): void {
    for (const queue of new Set([...this.#entries.values()].map(entry => this.#queueOf(entry)))) {
      queue.attempt = 0
      clearTimeout(queue.timer)
      void this.#run(queue)
    }
  }

  /** Stops sending. Waiting messages stay in the store. */
  stop(): void {
    this.#stopped = true
    for (const queue of this.#queues.values()) {
      clearTimeout(queue.timer)
      queue.abort?.abort()
    }
  }

  #queueOf(message: OutgoingMessage): SendQueue {
    const { room_id } = message
    const kind = kindOf(message)
    const key = room_id + kind
    let queue = this.#queues.get(key)
    if (!queue) {
      queue = { room_id, kind, attempt: 0, abort: null, timer: undefined }
      this.#queues.set(key, queue)
    }
    return queue
  }

  async #run(queue: SendQueue): Promise<void> {
    while (!queue.abort && !this.#stopped) {
      const entry = this.entriesOf(queue.room_id).find(
        one => one.state === 'waiting' && kindOf(one) === queue.kind,
      )
      if (!entry) break
      queue.abort = new AbortController()
      const wait_ms = await this.#attempt(entry, queue.abort.signal, queue.attempt)
      queue.abort = null
      queue.attempt = wait_ms === null ? 0 : queue.attempt + 1
      if (wait_ms === null) continue
      clearTimeout(queue.timer)
      queue.timer = setTimeout(() => void this.#run(queue), wait_ms)
      break
    }
  }

  /** Sends an entry once. Returns the delay before the next attempt, or null if there is none. */
  async #attempt(entry: OutboxEntry, signal: AbortSignal, attempt: number): Promise<number | null> {
    const id = entry.client_id
    this.#update({ ...entry, state: 'sending', progress: 0 })
    try {
      const seq = await this.#send(
        entry,
        progress => {
          const now = this.#entries.get(id)
          if (now?.state === 'sending') this.#update({ ...now, progress })
        },
        signal,
      )
      this.#deleteStored(id)
      const now = this.#entries.get(id)
      if (now) this.#update({ ...now, state: 'stored', seq, progress: 1 })
      return null
    } catch (cause) {
      const now = this.#entries.get(id)
      if (!now) return null
      const error = cause instanceof ChatError ? cause : new ChatError('offline', '')
      if (error.retryable) {
        this.#update({ ...now, state: 'waiting', code: error.code, progress: 0 })
        return Math.max(error.retry_after_ms, backoffMs(attempt, this.#random))
      }
      if (now.change) {
        this.#remove(now)
        this.onRefused(now, error)
      } else {
        this.#update({ ...now, state: 'failed', code: error.code })
        this.#put({ ...now, failed: error.code })
      }
      return null
    }
  }

  #update(entry: OutboxEntry): void {
    this.#entries.set(entry.client_id, entry)
    this.#onChange(entry.room_id)
  }

  /** A store that fails is ignored: its entries then last only as long as the tab. */
  #put(message: StoredMessage): void {
    void this.#store.then(store => store.put(message)).catch(() => {})
  }

  #deleteStored(client_id: string): void {
    void this.#store.then(store => store.delete(client_id)).catch(() => {})
  }

  #remove(entry: OutboxEntry): void {
    this.#entries.delete(entry.client_id)
    this.#deleteStored(entry.client_id)
    this.#onChange(entry.room_id)
  }
}

/** Returns which of its room's queues a message belongs to. */
function kindOf({ file, change }: OutgoingMessage): string {
  return change ? 'change' : file ? 'file' : 'text'
}

function newEntry({ failed, ...message }: StoredMessage): OutboxEntry {
  const state = failed === undefined ? 'waiting' : 'failed'
  return { ...message, state, seq: null, code: failed ?? null, progress: 0 }
}
