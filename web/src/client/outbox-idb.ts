/** The outbox store in IndexedDB, one database per server and user. */
import { type DBSchema, openDB } from 'idb'
import type { OutboxStore, StoredMessage } from './outbox.ts'

interface Schema extends DBSchema {
  drafts: { key: string; value: Stored }
}

/** A stored message; an earlier version of the page stored reactions in a field of their own. */
type Stored = StoredMessage & {
  readonly reaction?: { readonly message_id: string; readonly emoji: string; readonly on: boolean }
}

function upgraded({ reaction, ...message }: Stored): StoredMessage {
  return reaction ? { ...message, change: { type: 'react', ...reaction } } : message
}

/** Opens the store of `user` at `server`. */
export function idbStore(server: string, user: number): OutboxStore {
  const opened = openDB<Schema>(`chat ${server} ${user}`, 1, {
    upgrade: db => void db.createObjectStore('drafts', { keyPath: 'client_id' }),
  })
  opened.catch(() => {})
  return {
    all: async () => (await (await opened).getAll('drafts')).map(upgraded),
    put: async message => void (await (await opened).put('drafts', message)),
    delete: async client_id => (await opened).delete('drafts', client_id),
  }
}
