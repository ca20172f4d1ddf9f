/** The read receipts that the user sends in one room, limited in their rate. */
import type { Message } from './wire.ts'

/** Minimum time between two receipts; without it a busy room would exhaust the rate limit. */
const PAUSE_MS = 250

export class ReadReceipts {
  #sent = 0
  #pause: ReturnType<typeof setTimeout> | undefined
  /** The newest message read during the pause. */
  #next: Message | null = null
  #send: (message: Message) => boolean
  #readUpTo: () => number

  /** `send` returns false if the connection is down; `readUpTo` is the `seq` that the server has recorded. */
  constructor(send: (message: Message) => boolean, readUpTo: () => number) {
    this.#send = send
    this.#readUpTo = readUpTo
  }

  markRead(message: Message): void {
    if (message.seq <= Math.max(this.#sent, this.#readUpTo())) return
    if (this.#pause !== undefined) {
      if (message.seq > (this.#next?.seq ?? 0)) this.#next = message
    } else if (this.#send(message)) {
      this.#sent = message.seq
      this.#pause = setTimeout(() => this.flush(), PAUSE_MS)
    }
  }

  /** The server rejected the last receipt, so the next one is sent in any case. */
  onRejected(): void {
    this.#sent = 0
  }

  /** Ends the pause and sends the receipt that waits for it. */
  flush(): void {
    clearTimeout(this.#pause)
    this.#pause = undefined
    const message = this.#next
    this.#next = null
    if (message) this.markRead(message)
  }
}
