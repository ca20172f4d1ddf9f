/** What the client needs in Node, where there is neither IndexedDB nor XMLHttpRequest. */
import type { Ports } from './client.ts'
import type { Draft, OutboxStore } from './outbox.ts'
import { fetchUpload } from './upload.ts'

/** All ports but the socket: Node 20 has none of its own, so the caller brings one. */
export const NODE_PORTS: Omit<Ports, 'WebSocket'> = {
  fetch: (...args) => fetch(...args),
  upload: fetchUpload,
  store: async () => memoryStore(),
  random: Math.random,
  now: Date.now,
}

/** A store that lasts as long as the process. */
export function memoryStore(): OutboxStore {
  const drafts = new Map<string, Draft>()
  return {
    all: async () => [...drafts.values()],
    put: async draft => void drafts.set(draft.client_id, draft),
    delete: async client_id => void drafts.delete(client_id),
  }
}
