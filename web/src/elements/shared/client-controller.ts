/** The connection of a root element to its client. */
import type { ReactiveController, ReactiveControllerHost } from 'lit'
import type { Api } from '../../client/api.ts'
import { RetryTimer } from '../../client/backoff.ts'
import type { Client } from '../../client/client.ts'
import { createApi } from '../../client/rest.ts'
import { AuthNeeded, type TokenSource, Tokens, userIdOf } from '../../client/tokens.ts'
import { acquireClient, PORTS, releaseClient } from './client-registry.ts'
import { emit } from './events.ts'

/** The origin that this module was loaded from: the server, unless an element names another one. */
export const SCRIPT_ORIGIN = new URL(import.meta.url).origin

/** Provides a root element with a client while the element is connected to the page. */
export class ClientController implements ReactiveController {
  client: Client | null = null
  /** Calls with this element's own token, which may have a grant that the shared client's lacks. */
  api: Api | null = null
  /** No valid token is available. */
  refused = false
  /** The token source has thrown an error and is retried. */
  failing = false
  /** The server is reachable but rejects calls from pages of this origin. */
  originRefused = false
  #host: ReactiveControllerHost & HTMLElement
  #source: TokenSource | null = null
  #server = SCRIPT_ORIGIN
  /** The user of the source's tokens, if it is known before the first token. */
  #userId: number | null = null
  /** Identifies the current request to the source: the result of an earlier one is ignored. */
  #acquireId = 0
  #emittedUnread = -1
  #originChecked = false
  #retry = new RetryTimer(() => void this.#acquire())
  #onOnline = () => {
    if (this.#retry.scheduled) this.#retry.runNow()
  }

  constructor(host: ReactiveControllerHost & HTMLElement) {
    this.#host = host
    host.addController(this)
  }

  /**
   * Uses the tokens of `source` at `server`. Repeating the same arguments has no effect.
   *
   * With `userId`, the user of the page's own session, the client starts without waiting for a token, and
   * what it reads is cached on the device.
   */
  use(source: TokenSource | null, server: string, userId: number | null = null): void {
    const base = server.replace(/\/$/, '')
    if (source === this.#source && base === this.#server) return
    if (base !== this.#server) this.originRefused = this.#originChecked = false
    this.#source = source
    this.#server = base
    this.#userId = userId
    if (this.#host.isConnected) void this.#acquire()
  }

  /** Erases the cache and stops the client. Called when the user has signed out. */
  end(): void {
    void this.client?.cache.erase()
    this.#release(true)
  }

  hostConnected(): void {
    addEventListener('online', this.#onOnline)
    if (this.#source) void this.#acquire()
  }

  hostDisconnected(): void {
    removeEventListener('online', this.#onOnline)
    this.#acquireId++
    this.#retry.reset()
    this.#release()
  }

  async #acquire(): Promise<void> {
    const acquireId = ++this.#acquireId
    const source = this.#source
    this.failing = false
    let first: string | null = null
    if (this.#userId === null) {
      try {
        first = typeof source === 'function' ? await source() : source
      } catch (cause) {
        // Only AuthNeeded means that nobody is signed in; other errors may be temporary.
        this.failing = !(cause instanceof AuthNeeded)
      }
    }
    if (acquireId !== this.#acquireId || !this.#host.isConnected) return
    if (this.failing) this.#retry.schedule()
    else {
      this.#retry.reset()
      this.#onToken(source, first)
    }
    this.#host.requestUpdate()
  }

  #onToken(source: TokenSource | null, first: string | null): void {
    const user = this.#userId ?? userIdOf(first ?? '')
    this.refused = user === null
    if (user === null || source === null) {
      this.#release()
      if (source) emit(this.#host, 'auth-needed', null)
      return
    }
    this.api = createApi(this.#server, new Tokens(source, Date.now, first), PORTS.fetch)
    this.#attachClient(user, source, first)
  }

  #attachClient(user: number, source: TokenSource, first: string | null): void {
    if (this.client?.me === user && this.client.server === this.#server) {
      this.client.setTokenSource(source, first)
    } else {
      this.#release()
      this.client = acquireClient(this.#server, user, source, first, this.#userId !== null)
      this.client.addEventListener('change', this.#onChange)
      this.client.addEventListener('auth-needed', this.#onAuthNeeded)
      this.#emitUnread()
      if (this.client.state === 'refused') this.client.setTokenSource(source, first)
    }
  }

  #release(immediately = false): void {
    if (!this.client) return
    this.client.removeEventListener('change', this.#onChange)
    this.client.removeEventListener('auth-needed', this.#onAuthNeeded)
    releaseClient(this.client, immediately)
    this.client = null
  }

  #onChange = (): void => {
    if (this.client?.state === 'open') this.refused = this.originRefused = false
    if (this.client?.state === 'waiting') void this.#checkOrigin()
    this.#host.requestUpdate()
    this.#emitUnread()
  }

  /** Emits the number of unread messages, which is known once the server has accepted the connection. */
  #emitUnread(): void {
    const { username, inbox } = this.client!
    if (!username || inbox.total_unread === this.#emittedUnread) return
    this.#emittedUnread = inbox.total_unread
    emit(this.#host, 'unread-changed', { unread: this.#emittedUnread })
  }

  /** Determines once whether the server refuses the origin: to a script both cases are the same failure. */
  async #checkOrigin(): Promise<void> {
    if (this.#originChecked || this.client?.username || this.#server === location.origin) return
    this.#originChecked = true
    const { isOriginRefused } = await import('./origin-check.ts')
    this.originRefused = await isOriginRefused(this.#server)
    this.#host.requestUpdate()
  }

  #onAuthNeeded = (): void => {
    this.refused = true
    this.#host.requestUpdate()
    emit(this.#host, 'auth-needed', null)
  }
}
