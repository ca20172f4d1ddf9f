/**
 * The client behind a root element, shared by all elements of one person on a page.
 *
 * An element that is moved leaves the page and comes back at once; so a client that nobody uses stays for a
 * moment before it is stopped.
 */
import type { ReactiveController, ReactiveControllerHost } from 'lit'
import { Retry } from '../client/backoff.ts'
import type { Api } from '../client/calls.ts'
import { Client, type Ports } from '../client/client.ts'
import { createApi } from '../client/rest.ts'
import { AuthNeeded, type TokenSource, Tokens, userOf } from '../client/token.ts'
import { emit } from './events.ts'

/** How long a client that no element uses is kept. */
const LINGER_MS = 3_000

/** What isn't needed for the first look is loaded when it is. */
const PORTS: Ports = {
  WebSocket: globalThis.WebSocket,
  fetch: (...args) => fetch(...args),
  upload: async (...args) => (await import('../client/upload.ts')).xhrUpload(...args),
  store: async (server, user) => (await import('../client/outbox-idb.ts')).idbStore(server, user),
  random: Math.random,
  now: Date.now,
}

interface Shared {
  readonly client: Client
  users: number
  timer: ReturnType<typeof setTimeout> | undefined
  /** Takes its listeners away. */
  readonly deafen: AbortController
}

const clients = new Map<string, Shared>()

/** The same, and what was read is kept on the device until it is erased. */
const KEEPING: Ports = {
  ...PORTS,
  cache: async (server, user) => (await import('../client/cache-idb.ts')).idbCache(server, user),
}

function take(
  server: string,
  user: number,
  source: TokenSource,
  first: string | null,
  keeps: boolean,
): Client {
  const key = `${server} ${user}`
  let shared = clients.get(key)
  if (!shared) {
    const client = new Client(server, user, source, keeps ? KEEPING : PORTS, first)
    const deafen = new AbortController()
    const { signal } = deafen
    const onLook = () => {
      if (document.visibilityState === 'visible') client.poke()
      else void client.cache.flush()
    }
    shared = { client, users: 0, timer: undefined, deafen }
    document.addEventListener('visibilitychange', onLook, { signal })
    addEventListener('online', () => client.poke(), { signal })
    addEventListener('offline', () => client.lost(), { signal })
    clients.set(key, shared)
    client.start()
    if (keeps) void import('../client/ahead.ts').then(({ Ahead }) => new Ahead(client, signal))
  }
  clearTimeout(shared.timer)
  shared.users++
  return shared.client
}

function release(client: Client, ended = false): void {
  for (const [key, shared] of clients) {
    if (shared.client !== client || (--shared.users > 0 && !ended)) continue
    const end = () => {
      clients.delete(key)
      shared.deafen.abort()
      client.stop()
    }
    if (ended) end()
    else shared.timer = setTimeout(end, LINGER_MS)
  }
}

/** Where this module was loaded from is where its server is, unless the element says otherwise. */
export const HOME = new URL(import.meta.url).origin

/** Holds the client of a root element for as long as the element is on the page. */
export class Connection implements ReactiveController {
  client: Client | null = null
  /** Calls by this element's own token, whose grant the shared client's may lack. */
  api: Api | null = null
  /** Nobody has given a valid token. */
  refused = false
  /** The source has failed to answer whether there is a token, and is asked again. */
  failing = false
  /** The server is there, but takes no calls from pages of this origin. */
  foreign = false
  #source: TokenSource | null = null
  #server = HOME
  #turn = 0
  #told = -1
  /** Whose tokens the source gives, where that is known before it has given one. */
  #user: number | null = null
  #again = new Retry(() => void this.#take())
  #online = () => {
    if (this.#again.waiting) this.#again.now()
  }
  #probed = false

  constructor(private readonly host: ReactiveControllerHost & HTMLElement) {
    host.addController(this)
  }

  /**
   * Uses `source` at `server`; the same ones again change nothing.
   *
   * With `user`, whose session the page itself holds, it doesn't wait for a token, and what is read is kept.
   */
  use(source: TokenSource | null, server: string, user: number | null = null): void {
    if (source === this.#source && server === this.#server) return
    if (server !== this.#server) this.foreign = this.#probed = false
    this.#source = source
    this.#server = server
    this.#user = user
    if (this.host.isConnected) void this.#take()
  }

  /** The person has signed out: what was kept is erased, and nobody takes this client up again. */
  end(): void {
    void this.client?.cache.erase()
    this.#leave(true)
  }

  hostConnected(): void {
    addEventListener('online', this.#online)
    if (this.#source) void this.#take()
  }

  hostDisconnected(): void {
    removeEventListener('online', this.#online)
    this.#turn++
    this.#again.end()
    this.#leave()
  }

  async #take(): Promise<void> {
    const turn = ++this.#turn
    const source = this.#source
    this.failing = false
    let first: string | null = null
    if (this.#user === null) {
      try {
        first = typeof source === 'function' ? await source() : source
      } catch (cause) {
        // Only an AuthNeeded says that nobody is signed in; all else may be a line that is down.
        this.failing = !(cause instanceof AuthNeeded)
      }
    }
    if (turn !== this.#turn || !this.host.isConnected) return
    if (this.failing) this.#again.later()
    else {
      this.#again.end()
      this.#got(source, first)
    }
    this.host.requestUpdate()
  }

  #got(source: TokenSource | null, first: string | null): void {
    const user = this.#user ?? userOf(first ?? '')
    this.refused = user === null
    if (user === null || source === null) {
      this.#leave()
      if (source) emit(this.host, 'auth-needed', null)
      return
    }
    this.api = createApi(this.#server, new Tokens(source, Date.now, first), PORTS.fetch)
    this.#share(user, source, first)
  }

  #share(user: number, source: TokenSource, first: string | null): void {
    if (this.client?.me === user && this.client.server === this.#server) {
      this.client.renew(source, first)
    } else {
      this.#leave()
      this.client = take(this.#server, user, source, first, this.#user !== null)
      this.client.addEventListener('change', this.#changed)
      this.client.addEventListener('auth-needed', this.#authNeeded)
      this.#tell()
      if (this.client.state === 'refused') this.client.renew(source, first)
    }
  }

  #leave(ended = false): void {
    if (!this.client) return
    this.client.removeEventListener('change', this.#changed)
    this.client.removeEventListener('auth-needed', this.#authNeeded)
    release(this.client, ended)
    this.client = null
  }

  #changed = (): void => {
    if (this.client?.state === 'open') this.refused = this.foreign = false
    if (this.client?.state === 'waiting') void this.#probe()
    this.host.requestUpdate()
    this.#tell()
  }

  /** Tells the page how much is unread, which is known as soon as the server has said whose line it is. */
  #tell(): void {
    const { username, inbox } = this.client!
    if (!username || inbox.total_unread === this.#told) return
    this.#told = inbox.total_unread
    emit(this.host, 'unread-changed', { unread: this.#told })
  }

  /** Finds out once whether it is the server that refuses: a browser tells a script only that nothing came. */
  async #probe(): Promise<void> {
    if (this.#probed || this.client?.username || this.#server === location.origin) return
    this.#probed = true
    const { isForeign } = await import('./foreign.ts')
    this.foreign = await isForeign(this.#server)
    this.host.requestUpdate()
  }

  #authNeeded = (): void => {
    this.refused = true
    this.host.requestUpdate()
    emit(this.host, 'auth-needed', null)
  }
}
