/**
 * What a person has sent and the server hasn't stored yet.
 *
 * An entry is kept by the store until it is acked or given up, so that it survives a closed tab. It is sent
 * with the same `client_id` however often, so it is stored once. A room has two lanes, texts and files, and
 * in each one entry is under way at a time: that keeps their order also when one has to be tried again, and
 * no text waits for a picture to go up.
 */
import { backoffMs } from './backoff.ts'
import { ChatError } from './rest.ts'
import type { Quote } from './wire.ts'

/** A message to be sent. `at_ms` is this device's clock: order and display until the server's time is known. */
export interface Draft {
  readonly client_id: string
  readonly room_id: string
  readonly content: string
  readonly reply_to: Quote | null
  readonly file: File | null
  readonly at_ms: number
}

/** `stored`: acked with a `seq`, its event is still to come. */
export type SendState = 'waiting' | 'sending' | 'stored' | 'failed'

export interface OutboxEntry extends Draft {
  readonly state: SendState
  readonly seq: number | null
  /** Of the last failure. */
  readonly code: string | null
  /** How much of a file has gone up, 0 to 1. */
  readonly progress: number
}

/** Where drafts survive the tab. */
export interface OutboxStore {
  all(): Promise<Draft[]>
  put(draft: Draft): Promise<void>
  delete(client_id: string): Promise<void>
}

/** Sends one entry. Resolves with its `seq`; rejects with a ChatError. */
export type Send = (
  entry: Draft,
  onProgress: (share: number) => void,
  signal: AbortSignal,
) => Promise<number | null>

/** How many entries may wait; beyond, sending is refused so that memory and disk stay bounded. */
export const ENTRIES_MAX = 500

interface Lane {
  readonly room_id: string
  readonly files: boolean
  attempt: number
  abort: AbortController | null
  timer: ReturnType<typeof setTimeout> | undefined
}

export class Outbox {
  #entries = new Map<string, OutboxEntry>()
  #lanes = new Map<string, Lane>()
  #stopped = false

  constructor(
    private readonly store: Promise<OutboxStore>,
    private readonly send: Send,
    private readonly onChange: (room_id: string) => void,
    private readonly random: () => number = Math.random,
  ) {}

  /** Takes up what an earlier tab has left behind. */
  async load(): Promise<void> {
    const drafts = await this.store.then(store => store.all()).catch(() => [])
    for (const draft of drafts.toSorted((a, b) => a.at_ms - b.at_ms)) {
      if (!this.#entries.has(draft.client_id)) this.#entries.set(draft.client_id, waiting(draft))
    }
    for (const room of new Set(drafts.map(draft => draft.room_id))) this.onChange(room)
    this.kick()
  }

  /** Gives a room's entries in the order of sending. */
  of(room_id: string): OutboxEntry[] {
    return [...this.#entries.values()].filter(entry => entry.room_id === room_id)
  }

  /** How many have failed and wait for a person to decide. */
  get failed(): number {
    return [...this.#entries.values()].filter(entry => entry.state === 'failed').length
  }

  /** Takes a draft and sends it as soon as it can. */
  add(draft: Draft): void {
    if (this.#entries.size >= ENTRIES_MAX) throw new ChatError('overloaded', 'too much is waiting')
    this.#entries.set(draft.client_id, waiting(draft))
    void this.store.then(store => store.put(draft)).catch(() => {})
    this.onChange(draft.room_id)
    void this.#run(this.#lane(draft))
  }

  /** Tries a failed entry again. */
  retry(client_id: string): void {
    const entry = this.#entries.get(client_id)
    if (entry?.state !== 'failed') return
    this.#set({ ...entry, state: 'waiting', code: null })
    void this.#run(this.#lane(entry))
  }

  /** Gives an entry up; one that is under way is cut off. */
  discard(client_id: string): void {
    const entry = this.#entries.get(client_id)
    if (!entry) return
    this.#forget(entry)
    if (entry.state === 'sending') this.#lane(entry).abort?.abort()
  }

  /** Notes that the event of `client_id` is in the timeline, which shows it from now on. */
  seen(client_id: string): void {
    const entry = this.#entries.get(client_id)
    if (entry) this.#forget(entry)
  }

  /** Drops what is stored at or before `seq` of a room: a fresh page shows it. */
  storedUpTo(room_id: string, seq: number): void {
    for (const entry of this.of(room_id)) {
      if (entry.state === 'stored' && entry.seq !== null && entry.seq <= seq) this.#forget(entry)
    }
  }

  /** Tries all lanes at once: the line is back. */
  kick(): void {
    for (const lane of new Set([...this.#entries.values()].map(entry => this.#lane(entry)))) {
      lane.attempt = 0
      clearTimeout(lane.timer)
      void this.#run(lane)
    }
  }

  /** Stops sending; what waits stays in the store. */
  stop(): void {
    this.#stopped = true
    for (const lane of this.#lanes.values()) {
      clearTimeout(lane.timer)
      lane.abort?.abort()
    }
  }

  #lane({ room_id, file }: Draft): Lane {
    const files = file !== null
    const key = `${room_id} ${files}`
    let lane = this.#lanes.get(key)
    if (!lane) {
      lane = { room_id, files, attempt: 0, abort: null, timer: undefined }
      this.#lanes.set(key, lane)
    }
    return lane
  }

  async #run(lane: Lane): Promise<void> {
    while (!lane.abort && !this.#stopped) {
      const entry = this.of(lane.room_id).find(
        one => one.state === 'waiting' && (one.file !== null) === lane.files,
      )
      if (!entry) break
      lane.abort = new AbortController()
      const wait_ms = await this.#try(entry, lane.abort.signal, lane.attempt)
      lane.abort = null
      lane.attempt = wait_ms === null ? 0 : lane.attempt + 1
      if (wait_ms === null) continue
      clearTimeout(lane.timer)
      lane.timer = setTimeout(() => void this.#run(lane), wait_ms)
      break
    }
  }

  /** Sends `entry` once; gives the wait before the next try, or null when it has an end. */
  async #try(entry: OutboxEntry, signal: AbortSignal, attempt: number): Promise<number | null> {
    const id = entry.client_id
    this.#set({ ...entry, state: 'sending', progress: 0 })
    try {
      const seq = await this.send(
        entry,
        progress => {
          const now = this.#entries.get(id)
          if (now?.state === 'sending') this.#set({ ...now, progress })
        },
        signal,
      )
      this.#drop(id)
      const now = this.#entries.get(id)
      if (now) this.#set({ ...now, state: 'stored', seq, progress: 1 })
      return null
    } catch (cause) {
      const now = this.#entries.get(id)
      if (!now) return null
      const error = cause instanceof ChatError ? cause : new ChatError('offline', '')
      if (error.retryable) {
        this.#set({ ...now, state: 'waiting', code: error.code, progress: 0 })
        return Math.max(error.retry_after_ms, backoffMs(attempt, this.random))
      }
      this.#set({ ...now, state: 'failed', code: error.code })
      return null
    }
  }

  #set(entry: OutboxEntry): void {
    this.#entries.set(entry.client_id, entry)
    this.onChange(entry.room_id)
  }

  /** A store that fails is a memory that ends with the tab; sending goes on. */
  #drop(client_id: string): void {
    void this.store.then(store => store.delete(client_id)).catch(() => {})
  }

  #forget(entry: OutboxEntry): void {
    this.#entries.delete(entry.client_id)
    this.#drop(entry.client_id)
    this.onChange(entry.room_id)
  }
}

function waiting(draft: Draft): OutboxEntry {
  return { ...draft, state: 'waiting', seq: null, code: null, progress: 0 }
}
