/**
 * One socket for all of a person's rooms, kept open.
 *
 * It connects, notices a dead line or a frozen tab, comes back with back-off, and renews the token. It knows
 * nothing of rooms: `Client` gives it frames to send and hears what comes.
 */
import { backoffMs } from './backoff.ts'
import { parseFrame } from './frame.ts'
import { AuthNeeded, claimsOf, type Tokens } from './token.ts'
import type { ClientFrame, ServerFrame } from './wire.ts'

/** `closed`: not wanted. `waiting`: between two tries. `refused`: needs another token. */
export type SocketState = 'closed' | 'connecting' | 'open' | 'waiting' | 'refused'

/** How often the line is looked at. A step that comes this late three times over means a frozen tab. */
const STEP_MS = 5_000
/** Silence after which the server is asked for a sign of life. */
const QUIET_MS = 20_000
/** How long that sign may take before the line counts as dead. */
const ANSWER_MS = 8_000
/** The same when the person is looking: coming back to the tab, or the network's return. */
const POKE_ANSWER_MS = 3_000
/** A connection that isn't established by then is given up. */
const CONNECT_MS = 15_000
/** A token is renewed on the open socket this long before its end. */
const RENEW_MS = 60_000

export interface SocketHandlers {
  onState(state: SocketState): void
  onFrame(frame: ServerFrame): void
}

export interface SocketOptions {
  readonly url: string
  readonly tokens: Tokens
  readonly WebSocket: typeof WebSocket
  readonly random: () => number
  readonly now: () => number
}

type Timer = ReturnType<typeof setTimeout>

export class UserSocket {
  state: SocketState = 'closed'
  #ws: WebSocket | null = null
  #attempt = 0
  #floor_ms = 0
  #heard_ms = 0
  #stepped_ms = 0
  #pings = 0
  #retry: Timer | undefined
  #answer: Timer | undefined
  #step: Timer | undefined
  #token: string | null = null
  #renewing = false

  constructor(
    private readonly options: SocketOptions,
    private readonly handlers: SocketHandlers,
  ) {}

  /** Opens the socket and keeps it open until `stop`. Also the way out of `refused`. */
  start(): void {
    if (this.state === 'closed' || this.state === 'refused') void this.#connect()
  }

  /** Closes the socket for good. */
  stop(): void {
    this.#drop(1000)
    clearTimeout(this.#retry)
    this.#become('closed')
  }

  /** Sends `frame`; false when the line is down, and then nothing was sent. */
  send(frame: ClientFrame): boolean {
    if (this.state !== 'open' || this.#ws?.readyState !== 1) return false
    this.#ws.send(JSON.stringify(frame))
    return true
  }

  /** Looks at once whether the line lives, or tries at once to get one: the network or the person is back. */
  poke(): void {
    if (this.state === 'waiting') {
      clearTimeout(this.#retry)
      void this.#connect()
    } else if (this.state === 'open') {
      this.#ping(POKE_ANSWER_MS)
    }
  }

  /** The device says that it has no network: the line is dead, and another one comes when it can. */
  lost(): void {
    if (this.state !== 'open' && this.state !== 'connecting') return
    this.#drop(1000)
    this.#wait()
  }

  /** Gives up the present line and takes another one, now. */
  reconnect(): void {
    if (this.state === 'closed' || this.state === 'refused') return
    this.#drop(1000)
    this.#wait()
  }

  async #connect(): Promise<void> {
    this.#become('connecting')
    let token: string
    try {
      token = await this.options.tokens.get()
    } catch (cause) {
      if (this.state !== 'connecting') return
      if (cause instanceof AuthNeeded) this.#become('refused')
      else this.#wait()
      return
    }
    if (this.state !== 'connecting') return
    this.#token = token
    const ws = new this.options.WebSocket(this.options.url, ['chat.v1', `bearer.${token}`])
    this.#ws = ws
    this.#answer = setTimeout(() => this.reconnect(), CONNECT_MS)
    ws.onmessage = event => this.#hear(ws, event.data)
    ws.onclose = event => this.#closed(ws, event.code)
    ws.onerror = () => {}
  }

  #hear(ws: WebSocket, data: unknown): void {
    if (ws !== this.#ws) return
    this.#heard_ms = this.options.now()
    clearTimeout(this.#answer)
    const frame = parseFrame(data)
    if (!frame) return
    if (frame.type === 'connection_established' && this.state === 'connecting') {
      this.#attempt = 0
      this.#floor_ms = 0
      this.options.tokens.accept()
      this.#become('open')
      this.#watch()
    } else if (frame.type === 'going_away') {
      this.#floor_ms = frame.retry_after * 1000
    }
    this.handlers.onFrame(frame)
  }

  #closed(ws: WebSocket, code: number): void {
    if (ws !== this.#ws) return
    this.#drop()
    if (code === 4401 && this.#token) this.options.tokens.refuse(this.#token)
    if (code === 4409 || code === 4429) this.#floor_ms = 15_000
    this.#wait()
  }

  #wait(): void {
    this.#become('waiting')
    const wait_ms = Math.max(this.#floor_ms, backoffMs(this.#attempt++, this.options.random))
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#connect(), wait_ms)
  }

  /** Steps as long as the socket is open: asks a silent server, and renews a token that ends soon. */
  #watch(): void {
    this.#stepped_ms = this.options.now()
    clearInterval(this.#step)
    this.#step = setInterval(() => {
      const now_ms = this.options.now()
      const froze = now_ms - this.#stepped_ms > 3 * STEP_MS
      this.#stepped_ms = now_ms
      if (froze) this.#ping(POKE_ANSWER_MS)
      else if (now_ms - this.#heard_ms > QUIET_MS) this.#ping(ANSWER_MS)
      const exp = this.#token ? claimsOf(this.#token).exp : undefined
      if (exp !== undefined && exp * 1000 - now_ms < RENEW_MS) void this.#renew()
    }, STEP_MS)
  }

  async #renew(): Promise<void> {
    if (this.#renewing) return
    this.#renewing = true
    try {
      const token = await this.options.tokens.get()
      if (token !== this.#token && this.send({ type: 'auth', token })) this.#token = token
    } catch {
      // The server closes with 4401 at the token's end, and connecting anew asks the source again.
    } finally {
      this.#renewing = false
    }
  }

  #ping(answer_ms: number): void {
    if (!this.send({ type: 'ping', n: ++this.#pings })) return
    clearTimeout(this.#answer)
    this.#answer = setTimeout(() => this.reconnect(), answer_ms)
  }

  #drop(code?: number): void {
    clearTimeout(this.#answer)
    clearInterval(this.#step)
    const ws = this.#ws
    this.#ws = null
    if (ws && code !== undefined && ws.readyState <= 1) ws.close(code)
  }

  #become(state: SocketState): void {
    if (this.state === state) return
    this.state = state
    this.handlers.onState(state)
  }
}
