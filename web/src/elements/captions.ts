/** What was written with the picture or file that came last in a room: its row in the list says only the kind. */
import type { Client } from '../client/client.ts'
import type { ListRoom } from '../client/wire.ts'

/** Answers kept; beyond, the oldest are forgotten. */
const KEPT_MAX = 200

export class Captions {
  #known = new Map<string, string>()

  constructor(private readonly changed: () => void) {}

  /** The caption, or an empty string as long as none is known; asked for once for each last message. */
  of(client: Client, room: ListRoom): string {
    const key = `${client.me} ${room.id} ${room.last_message_time}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    if (client.state === 'open') void this.#ask(client, room, key)
    return ''
  }

  async #ask(client: Client, { id: room, last_message_time }: ListRoom, key: string): Promise<void> {
    if (this.#known.size >= KEPT_MAX) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(key, '')
    try {
      const { data } = await client.api.GET('/api/chat/messages/', {
        params: { query: { room, page_size: 1 } },
      })
      const [last] = data.results
      if (!last?.content || last.created_at !== last_message_time) return
      this.#known.set(key, last.content)
      this.changed()
    } catch {
      // The kind of the file is said all the same.
    }
  }
}
