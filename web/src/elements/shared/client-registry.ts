/**
 * The clients of a page, one per server and user, shared by all elements that need them.
 *
 * An element that is moved is disconnected and connected again, so a client without users is stopped only
 * after a delay.
 */
import { Client, type Ports } from '../../client/client.ts'
import type { TokenSource } from '../../client/tokens.ts'

/** How long a client without users is kept. */
const LINGER_MS = 3_000

/** Whatever the first render does not need is imported on demand. */
export const PORTS: Ports = {
  WebSocket: globalThis.WebSocket,
  fetch: (...args) => fetch(...args),
  upload: async (...args) => (await import('../../client/upload.ts')).xhrUpload(...args),
  store: async (server, user) => (await import('../../client/outbox-idb.ts')).idbStore(server, user),
  random: Math.random,
  now: Date.now,
}

/** The same ports with a persistent cache. */
const CACHING_PORTS: Ports = {
  ...PORTS,
  cache: async (server, user) => (await import('../../client/cache-idb.ts')).idbCache(server, user),
}

interface SharedClient {
  readonly client: Client
  users: number
  timer: ReturnType<typeof setTimeout> | undefined
  /** Aborts the listeners. */
  readonly listeners: AbortController
}

const clients = new Map<string, SharedClient>()

/** Returns the client of `user` at `server`, which is created for its first user. */
export function acquireClient(
  server: string,
  user: number,
  source: TokenSource,
  first: string | null,
  caching: boolean,
): Client {
  const key = `${server} ${user}`
  let shared = clients.get(key)
  if (!shared) {
    const client = new Client(server, user, source, caching ? CACHING_PORTS : PORTS, first)
    const listeners = new AbortController()
    const { signal } = listeners
    const onVisibilityChange = () => {
      if (document.visibilityState === 'visible') client.checkConnection()
      else void client.cache.flush()
    }
    shared = { client, users: 0, timer: undefined, listeners }
    document.addEventListener('visibilitychange', onVisibilityChange, { signal })
    addEventListener('online', () => client.checkConnection(), { signal })
    addEventListener('offline', () => client.onOffline(), { signal })
    clients.set(key, shared)
    client.start()
    if (caching) void prefetchRooms(client, signal)
  }
  clearTimeout(shared.timer)
  shared.users++
  return shared.client
}

async function prefetchRooms(client: Client, signal: AbortSignal): Promise<void> {
  const { RoomPrefetcher } = await import('../../client/room-prefetcher.ts')
  new RoomPrefetcher(client, signal)
}

/** Gives up one use of a client; `immediately` stops it at once, whoever else uses it. */
export function releaseClient(client: Client, immediately: boolean): void {
  for (const [key, shared] of clients) {
    if (shared.client !== client || (--shared.users > 0 && !immediately)) continue
    const stop = () => {
      clients.delete(key)
      shared.listeners.abort()
      client.stop()
    }
    if (immediately) stop()
    else shared.timer = setTimeout(stop, LINGER_MS)
  }
}
