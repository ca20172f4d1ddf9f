/** The client's ports in Node, which has neither IndexedDB nor XMLHttpRequest. */
import type { Ports } from './client.ts'
import type { OutboxStore, StoredMessage } from './outbox.ts'
import { fetchUpload } from './upload.ts'

/** All ports except the socket: Node 20 has no WebSocket of its own, so the caller provides one. */
export const NODE_PORTS: Omit<Ports, 'WebSocket'> = {
  fetch: (...args) => fetch(...args),
  upload: fetchUpload,
  store: async () => memoryStore(),
  random: Math.random,
  now: Date.now,
}

/** A store that lasts as long as the process. */
export function memoryStore(): OutboxStore {
  const messages = new Map<string, StoredMessage>()
  return {
    all: async () => [...messages.values()],
    put: async message => void messages.set(message.client_id, message),
    delete: async client_id => void messages.delete(client_id),
  }
}
