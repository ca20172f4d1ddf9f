/** The captions of files: for a file the preview of a room's last message contains only its kind. */
import type { Client } from '../../client/client.ts'
import type { ListedRoom } from '../../client/wire.ts'

/** Number of captions kept; the oldest are dropped. */
const CAPTIONS_MAX = 200

export class Captions {
  #captions = new Map<string, string>()

  constructor(private readonly onChange: () => void) {}

  /** Returns the caption of a room's last message, or an empty string until it has been loaded. */
  of(client: Client, room: ListedRoom): string {
    const key = `${client.me} ${room.id} ${room.last_message_time}`
    const known = this.#captions.get(key)
    if (known !== undefined) return known
    if (client.state === 'open') void this.#load(client, room, key)
    return ''
  }

  async #load(client: Client, { id: room, last_message_time }: ListedRoom, key: string): Promise<void> {
    if (this.#captions.size >= CAPTIONS_MAX) this.#captions.delete(this.#captions.keys().next().value!)
    this.#captions.set(key, '')
    try {
      const { data } = await client.api.GET('/api/chat/messages/', {
        params: { query: { room, page_size: 1 } },
      })
      const [last] = data.results
      if (!last?.content || last.created_at !== last_message_time) return
      this.#captions.set(key, last.content)
      this.onChange()
    } catch {
      // The list then shows the kind of the file.
    }
  }
}
