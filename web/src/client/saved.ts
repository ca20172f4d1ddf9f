/** Which messages the user has saved, read when that is first asked for. */
import type { Client } from './client.ts'
import type { PersonalFrame } from './wire.ts'

/** Messages per page, and the maximum number of pages: the server keeps a thousand for each user. */
const PAGE = 100
const PAGES_MAX = 10

/** Events: `change`. */
export class SavedIds extends EventTarget {
  #client: Client
  #ids = new Set<string>()
  #reading = false
  #read = false

  constructor(client: Client) {
    super()
    this.#client = client
    client.addEventListener('frame', event => this.#onFrame(event as CustomEvent<PersonalFrame>))
    // Frames may have been missed.
    client.addEventListener('change', () => {
      if (client.state !== 'open') this.#read = false
    })
  }

  /** Whether a message is saved, as far as that is known; the answer may follow with a `change`. */
  has(id: string): boolean {
    if (!this.#read && !this.#reading) void this.#load()
    return this.#ids.has(id)
  }

  async #load(): Promise<void> {
    this.#reading = true
    const found = new Set<string>()
    try {
      for (let page = 1; page <= PAGES_MAX; page++) {
        const query = { page, page_size: PAGE }
        const { data } = await this.#client.api.GET('/api/chat/saved/', { params: { query } })
        for (const { id } of data.results) found.add(id)
        if (!data.next) break
      }
      this.#ids = found
      this.#read = true
      this.dispatchEvent(new Event('change'))
    } catch {
      // Without the list a message counts as not saved, and saving it again changes nothing.
    } finally {
      this.#reading = false
    }
  }

  #onFrame({ detail: frame }: CustomEvent<PersonalFrame>): void {
    if (frame.type !== 'saved') return
    if (frame.saved_at) this.#ids.add(frame.message_id)
    else this.#ids.delete(frame.message_id)
    this.dispatchEvent(new Event('change'))
  }
}

const known = new WeakMap<Client, SavedIds>()

export function savedOf(client: Client): SavedIds {
  let saved = known.get(client)
  if (!saved) {
    saved = new SavedIds(client)
    known.set(client, saved)
  }
  return saved
}
