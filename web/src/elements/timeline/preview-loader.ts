/** Loads previews of links, each message's once for a client, and none any more once the server says that it has none. */
import type { Client } from '../../client/client.ts'
import type { components } from '../../client/schema.ts'
import type { Message } from '../../client/wire.ts'

export type LinkPreview = components['schemas']['LinkPreview']

/** When to ask again while the server is asking, in milliseconds. */
const RETRY_MS = [3_000, 6_000, 12_000]
/** The number of messages whose previews are kept. */
const KEPT_MAX = 500

const loaders = new WeakMap<Client, PreviewLoader>()

export function previewsOf(client: Client, message: Message): Promise<readonly LinkPreview[]> {
  const loader = loaders.get(client) ?? new PreviewLoader(client)
  loaders.set(client, loader)
  return loader.load(message)
}

class PreviewLoader {
  readonly #client: Client
  readonly #kept = new Map<string, Promise<readonly LinkPreview[]>>()
  #isEnabled = true

  constructor(client: Client) {
    this.#client = client
  }

  load(message: Message): Promise<readonly LinkPreview[]> {
    if (!this.#isEnabled) return Promise.resolve([])
    // An edit may have changed the links.
    const key = `${message.id} ${message.edited_at ?? ''}`
    let previews = this.#kept.get(key)
    if (!previews) {
      previews = this.#ask(message.id).catch(() => {
        this.#kept.delete(key)
        return []
      })
      this.#kept.set(key, previews)
      if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!)
    }
    return previews
  }

  async #ask(id: string): Promise<readonly LinkPreview[]> {
    for (const delay of [...RETRY_MS, 0]) {
      const { data } = await this.#client.api.GET('/api/chat/messages/{id}/link_previews/', {
        params: { path: { id } },
      })
      this.#isEnabled = data.is_enabled
      if (data.is_complete || !delay) return data.previews
      await new Promise(resolve => setTimeout(resolve, delay))
    }
    return []
  }
}
