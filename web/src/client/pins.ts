/** The pinned messages of one room. Only a view that shows them follows them. */
import type { Client } from './client.ts'
import type { RestMessage, ServerFrame } from './wire.ts'

/** The server's limit of one room. */
const PINS_MAX = 50
/** Frames after which the pins are read again. */
const RELOADED = new Set(['subscribed', 'reset', 'message_pinned'])

/** Events: `change` when `messages` has been replaced. */
export class Pins extends EventTarget {
  /** The one that was pinned last first. */
  messages: readonly RestMessage[] = []
  #ended = new AbortController()
  #loading = false
  /** What is being loaded may be outdated already. */
  #again = false

  constructor(
    private readonly client: Client,
    private readonly roomId: string,
  ) {
    super()
    const onFrame = (event: Event) => this.#onFrame((event as CustomEvent<ServerFrame>).detail)
    client.addEventListener('frame', onFrame, { signal: this.#ended.signal })
    void this.#load()
  }

  /** Stops following the room. */
  stop(): void {
    this.#ended.abort()
  }

  #onFrame(frame: ServerFrame): void {
    if (!('room_id' in frame) || frame.room_id !== this.roomId) return
    if (RELOADED.has(frame.type)) void this.#load()
    else if (frame.type === 'message_deleted') {
      this.#set(this.messages.filter(({ id }) => id !== frame.message_id))
    } else if (frame.type === 'message_updated') {
      const { id, content } = frame.message
      this.#set(this.messages.map(message => (message.id === id ? { ...message, content } : message)))
    }
  }

  async #load(): Promise<void> {
    this.#again = this.#loading
    if (this.#loading) return
    this.#loading = true
    try {
      do {
        this.#again = false
        const { data } = await this.client.api.GET('/api/chat/rooms/{id}/pins/', {
          params: { path: { id: this.roomId }, query: { page_size: PINS_MAX } },
        })
        if (!this.#ended.signal.aborted) this.#set(data.results)
      } while (this.#again)
    } catch {
      // Older servers have no pins. After any other failure the next subscription reads them.
    } finally {
      this.#loading = false
    }
  }

  #set(messages: readonly RestMessage[]): void {
    this.messages = messages
    this.dispatchEvent(new Event('change'))
  }
}
