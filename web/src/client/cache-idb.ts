/** The cache in IndexedDB, one database per server and person. */
import { type DBSchema, openDB } from 'idb'
import { type CacheStore, KEPT_ROOMS_MAX, type KeptList, type KeptRoom } from './cache.ts'
import { tailOf } from './timeline.ts'

/** Of what is kept: another form is another number, and what was kept in the older one is dropped. */
const VERSION = 1
/** Entries kept of a room. */
const ENTRIES_MAX = 50
/** Rows kept of the list. */
const ROWS_MAX = 300
/** Changes that come within this time are written together. */
const WRITE_MS = 500

interface Schema extends DBSchema {
  list: { key: 'list'; value: KeptList }
  rooms: { key: string; value: KeptRoom & { readonly at_ms: number }; indexes: { at: number } }
}

/** Opens what `user` has kept of `server`. Losing it costs a read, so it needn't wait for the disk. */
export function idbCache(server: string, user: number): CacheStore {
  const opened = openDB<Schema>(`chat cache ${server} ${user}`, VERSION, {
    upgrade(db) {
      for (const name of [...db.objectStoreNames]) db.deleteObjectStore(name)
      db.createObjectStore('list')
      db.createObjectStore('rooms', { keyPath: 'id' }).createIndex('at', 'at_ms')
    },
    // A newer page in another tab goes first; this one does without from then on.
    blocking: (_have, _want, event) => (event.target as IDBDatabase).close(),
  })
  opened.catch(() => {})
  const unwritten = new Map<string, KeptRoom>()
  let list: KeptList | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  const drop = () => {
    clearTimeout(timer)
    timer = undefined
    unwritten.clear()
    list = null
  }
  const begin = async () =>
    (await opened).transaction(['list', 'rooms'], 'readwrite', { durability: 'relaxed' })
  const flush = async () => {
    const rooms = [...unwritten.values()]
    const rows = list
    drop()
    if (rooms.length === 0 && !rows) return
    const all = await begin()
    const store = all.objectStore('rooms')
    if (rows) {
      const { total_unread } = rows
      void all.objectStore('list').put({ rooms: rows.rooms.slice(0, ROWS_MAX), total_unread }, 'list')
    }
    for (const room of rooms) {
      await store.put({ ...room, timeline: tailOf(room.timeline, ENTRIES_MAX), at_ms: Date.now() })
    }
    let extra = (await store.count()) - KEPT_ROOMS_MAX
    let oldest = extra > 0 ? await store.index('at').openCursor() : null
    for (; oldest && extra > 0; extra--) {
      await oldest.delete()
      oldest = await oldest.continue()
    }
    await all.done
  }
  const later = () => {
    timer ??= setTimeout(() => void flush().catch(() => {}), WRITE_MS)
  }

  return {
    flush,
    list: async () => (await opened).get('list', 'list'),
    keepList(newer) {
      list = newer
      later()
    },
    room: async id => unwritten.get(id) ?? (await opened).get('rooms', id),
    keepRoom(room) {
      unwritten.set(room.id, room)
      later()
    },
    async forget(id) {
      unwritten.delete(id)
      await (await opened).delete('rooms', id)
    },
    async clear() {
      drop()
      const all = await begin()
      await Promise.all([all.objectStore('list').clear(), all.objectStore('rooms').clear(), all.done])
    },
  }
}
