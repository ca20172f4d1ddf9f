/** The outbox in IndexedDB, one database per server and person. */
import { type DBSchema, openDB } from 'idb'
import type { Draft, OutboxStore } from './outbox.ts'

interface Schema extends DBSchema {
  drafts: { key: string; value: Draft }
}

/** Opens the store of `user` at `server`; another person's drafts are out of its sight. */
export function idbStore(server: string, user: number): OutboxStore {
  const opened = openDB<Schema>(`chat ${server} ${user}`, 1, {
    upgrade: db => void db.createObjectStore('drafts', { keyPath: 'client_id' }),
  })
  opened.catch(() => {})
  return {
    all: async () => (await opened).getAll('drafts'),
    put: async draft => void (await (await opened).put('drafts', draft)),
    delete: async client_id => (await opened).delete('drafts', client_id),
  }
}
