/** The messages of reminders, of which the server tells only the ids: each is read once it is shown. */
import type { Client } from '../../client/client.ts'
import { ChatError } from '../../client/errors.ts'
import type { Reminder, RestMessage } from '../../client/wire.ts'

/** Number of concurrent requests, and of messages that are kept. */
const CONCURRENT_MAX = 4
const KEPT_MAX = 300

export class RemindedMessages {
  /** Null for a message that does not exist any more, or that the user may not see. */
  #messages = new Map<string, RestMessage | null>()
  #waiting = new Set<string>()
  #running = 0
  #onChange: () => void

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** Returns the message, null if there is none, or undefined while it is read. */
  of(client: Client, { message_id }: Reminder): RestMessage | null | undefined {
    const known = this.#messages.get(message_id)
    if (known !== undefined) return known
    if (this.#messages.size < KEPT_MAX) this.#waiting.add(message_id)
    this.#run(client)
    return undefined
  }

  #run(client: Client): void {
    for (const id of this.#waiting) {
      if (this.#running >= CONCURRENT_MAX) return
      this.#waiting.delete(id)
      this.#running++
      void this.#read(client, id)
    }
  }

  async #read(client: Client, id: string): Promise<void> {
    try {
      const { data } = await client.api.GET('/api/chat/messages/{id}/', { params: { path: { id } } })
      this.#messages.set(id, data)
    } catch (cause) {
      // After another error it is read again when the list is shown again.
      const isGone = cause instanceof ChatError && (cause.status === 404 || cause.status === 403)
      if (isGone) this.#messages.set(id, null)
    }
    this.#running--
    this.#run(client)
    if (this.#messages.has(id)) this.#onChange()
  }
}
