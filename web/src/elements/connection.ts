/**
 * The client behind a root element, shared by all elements of one person on a page.
 *
 * An element that is moved leaves the page and comes back at once; so a client that nobody uses stays for a
 * moment before it is stopped.
 */
import type { ReactiveController, ReactiveControllerHost } from 'lit'
import type { Api } from '../client/calls.ts'
import { Client, type Ports } from '../client/client.ts'
import { createApi } from '../client/rest.ts'
import { type TokenSource, Tokens, userOf } from '../client/token.ts'
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
  onPoke: () => void
}

const clients = new Map<string, Shared>()

function take(server: string, user: number, source: TokenSource, first: string): Client {
  const key = `${server} ${user}`
  let shared = clients.get(key)
  if (!shared) {
    const client = new Client(server, user, source, PORTS, first)
    const onPoke = () => {
      if (document.visibilityState === 'visible') client.poke()
    }
    shared = { client, users: 0, timer: undefined, onPoke }
    document.addEventListener('visibilitychange', onPoke)
    addEventListener('online', onPoke)
    clients.set(key, shared)
    client.start()
  }
  clearTimeout(shared.timer)
  shared.users++
  return shared.client
}

function release(client: Client): void {
  for (const [key, shared] of clients) {
    if (shared.client !== client || --shared.users > 0) continue
    shared.timer = setTimeout(() => {
      clients.delete(key)
      document.removeEventListener('visibilitychange', shared.onPoke)
      removeEventListener('online', shared.onPoke)
      client.stop()
    }, LINGER_MS)
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
  /** The server is there, but takes no calls from pages of this origin. */
  foreign = false
  #source: TokenSource | null = null
  #server = HOME
  #turn = 0
  #told = -1
  #probed = false

  constructor(private readonly host: ReactiveControllerHost & HTMLElement) {
    host.addController(this)
  }

  /** Uses `source` at `server`; the same ones again change nothing. */
  use(source: TokenSource | null, server: string): void {
    if (source === this.#source && server === this.#server) return
    if (server !== this.#server) this.foreign = this.#probed = false
    this.#source = source
    this.#server = server
    if (this.host.isConnected) void this.#take()
  }

  hostConnected(): void {
    if (this.#source) void this.#take()
  }

  hostDisconnected(): void {
    this.#turn++
    this.#leave()
  }

  async #take(): Promise<void> {
    const turn = ++this.#turn
    const source = this.#source
    let first = ''
    try {
      first = typeof source === 'function' ? await source() : (source ?? '')
    } catch {
      // Nobody is signed in: the empty token says so below.
    }
    const user = userOf(first)
    if (turn !== this.#turn || !this.host.isConnected) return
    this.refused = user === null
    if (user === null || source === null) {
      this.#leave()
      if (source) emit(this.host, 'auth-needed', null)
    } else {
      this.api = createApi(this.#server, new Tokens(source, Date.now, first), PORTS.fetch)
      this.#share(user, source, first)
    }
    this.host.requestUpdate()
  }

  #share(user: number, source: TokenSource, first: string): void {
    if (this.client?.me === user && this.client.server === this.#server) {
      this.client.renew(source, first)
    } else {
      this.#leave()
      this.client = take(this.#server, user, source, first)
      this.client.addEventListener('change', this.#changed)
      this.client.addEventListener('auth-needed', this.#authNeeded)
      this.#tell()
      if (this.client.state === 'refused') this.client.renew(source, first)
    }
  }

  #leave(): void {
    if (!this.client) return
    this.client.removeEventListener('change', this.#changed)
    this.client.removeEventListener('auth-needed', this.#authNeeded)
    release(this.client)
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
