/** The cache store in IndexedDB, one database per server and user. */
import { type DBSchema, openDB } from 'idb'
import { CACHED_ROOMS_MAX, type CachedList, type CachedRoom, type CacheStore } from './cache.ts'
import { lastEntries } from './timeline.ts'

/** Increases when the stored form changes; what older versions have stored is dropped. */
const VERSION = 2
/** Timeline entries stored per room. */
const ENTRIES_MAX = 50
/** Rooms stored of the list. */
const ROWS_MAX = 300
/** Changes within this time are written together. */
const WRITE_MS = 500

interface Schema extends DBSchema {
  list: { key: 'list'; value: CachedList }
  rooms: { key: string; value: CachedRoom & { readonly at_ms: number }; indexes: { at: number } }
}

/** Opens the cache of `user` at `server`. Writes are relaxed: a lost write costs one read from the server. */
export function idbCache(server: string, user: number): CacheStore {
  const opened = openDB<Schema>(`chat cache ${server} ${user}`, VERSION, {
    upgrade(db) {
      for (const name of [...db.objectStoreNames]) db.deleteObjectStore(name)
      db.createObjectStore('list')
      db.createObjectStore('rooms', { keyPath: 'id' }).createIndex('at', 'at_ms')
    },
    // A newer page in another tab takes precedence; this one goes on without a cache.
    blocking: (_have, _want, event) => (event.target as IDBDatabase).close(),
  })
  opened.catch(() => {})
  const unwritten = new Map<string, CachedRoom>()
  let unwrittenList: CachedList | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  const discardUnwritten = () => {
    clearTimeout(timer)
    timer = undefined
    unwritten.clear()
    unwrittenList = null
  }
  const transaction = async () =>
    (await opened).transaction(['list', 'rooms'], 'readwrite', { durability: 'relaxed' })
  const flush = async () => {
    const rooms = [...unwritten.values()]
    const list = unwrittenList
    discardUnwritten()
    if (rooms.length === 0 && !list) return
    const writes = await transaction()
    const store = writes.objectStore('rooms')
    if (list) {
      const { total_unread } = list
      void writes.objectStore('list').put({ rooms: list.rooms.slice(0, ROWS_MAX), total_unread }, 'list')
    }
    for (const room of rooms) {
      await store.put({ ...room, timeline: lastEntries(room.timeline, ENTRIES_MAX), at_ms: Date.now() })
    }
    let excess = (await store.count()) - CACHED_ROOMS_MAX
    let oldest = excess > 0 ? await store.index('at').openCursor() : null
    for (; oldest && excess > 0; excess--) {
      await oldest.delete()
      oldest = await oldest.continue()
    }
    await writes.done
  }
  const scheduleFlush = () => {
    timer ??= setTimeout(() => void flush().catch(() => {}), WRITE_MS)
  }

  return {
    flush,
    loadList: async () => (await opened).get('list', 'list'),
    saveList(list) {
      unwrittenList = list
      scheduleFlush()
    },
    loadRoom: async id => unwritten.get(id) ?? (await opened).get('rooms', id),
    saveRoom(room) {
      unwritten.set(room.id, room)
      scheduleFlush()
    },
    async removeRoom(id) {
      unwritten.delete(id)
      await (await opened).delete('rooms', id)
    },
    async clear() {
      discardUnwritten()
      const writes = await transaction()
      await Promise.all([
        writes.objectStore('list').clear(),
        writes.objectStore('rooms').clear(),
        writes.done,
      ])
    },
  }
}
