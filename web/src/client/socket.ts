/**
 * The one WebSocket connection for all of a user's rooms.
 *
 * It connects, detects a dead connection or a frozen tab, reconnects with back-off, and renews the token. It
 * has no knowledge of rooms: `Client` passes it frames to send and handles the incoming ones.
 */
import { backoffMs } from './backoff.ts'
import { parseFrame } from './frame.ts'
import { AuthNeeded, claimsOf, type Tokens } from './tokens.ts'
import type { ClientFrame, ServerFrame } from './wire.ts'

/** `closed`: stopped. `waiting`: between two attempts. `refused`: needs another token. */
export type SocketState = 'closed' | 'connecting' | 'open' | 'waiting' | 'refused'

/** Interval of the heartbeat. A beat that is late by two further intervals indicates a frozen tab. */
const HEARTBEAT_MS = 5_000
/** Silence after which the server is pinged. */
const QUIET_MS = 20_000
/** Time for the pong; after that the connection counts as dead. */
const PONG_MS = 8_000
/** The same after the user has returned to the tab, or the network has returned. */
const CHECK_PONG_MS = 3_000
/** A connection that is not established within this time is abandoned. */
const CONNECT_MS = 15_000
/** A token is renewed on the open socket this long before it expires. */
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
  #options: SocketOptions
  #handlers: SocketHandlers
  #ws: WebSocket | null = null
  #attempt = 0
  /** Identifies the current attempt to connect: an earlier one opens no socket. */
  #connectId = 0
  /** Minimum delay before the next attempt. */
  #floor_ms = 0
  #lastFrame_ms = 0
  #lastBeat_ms = 0
  #pings = 0
  #reconnectTimer: Timer | undefined
  #answerTimer: Timer | undefined
  #heartbeat: Timer | undefined
  #token: string | null = null
  #renewing = false

  constructor(options: SocketOptions, handlers: SocketHandlers) {
    this.#options = options
    this.#handlers = handlers
  }

  /** Connects and stays connected until `stop`. Also leaves the state `refused`. */
  start(): void {
    if (this.state === 'closed' || this.state === 'refused') void this.#connect()
  }

  /** Closes the socket permanently. */
  stop(): void {
    this.#disconnect(1000)
    clearTimeout(this.#reconnectTimer)
    this.#setState('closed')
  }

  /** Sends a frame. Returns false, without having sent anything, if the connection is down. */
  send(frame: ClientFrame): boolean {
    if (this.state !== 'open' || this.#ws?.readyState !== 1) return false
    this.#ws.send(JSON.stringify(frame))
    return true
  }

  /** Verifies the connection now, or reconnects now: the network or the user has returned. */
  check(): void {
    if (this.state === 'waiting') {
      clearTimeout(this.#reconnectTimer)
      void this.#connect()
    } else if (this.state === 'open') {
      this.#ping(CHECK_PONG_MS)
    }
  }

  /** The device reports that it is offline: the connection is closed and reconnecting begins. */
  onOffline(): void {
    if (this.state !== 'open' && this.state !== 'connecting') return
    this.#disconnect(1000)
    this.#scheduleReconnect()
  }

  /** Abandons the current connection and reconnects. */
  reconnect(): void {
    if (this.state === 'closed' || this.state === 'refused') return
    this.#disconnect(1000)
    this.#scheduleReconnect()
  }

  async #connect(): Promise<void> {
    const connectId = ++this.#connectId
    this.#setState('connecting')
    let token: string
    try {
      token = await this.#options.tokens.get()
    } catch (cause) {
      if (connectId !== this.#connectId || this.state !== 'connecting') return
      if (cause instanceof AuthNeeded) this.#setState('refused')
      else this.#scheduleReconnect()
      return
    }
    if (connectId !== this.#connectId || this.state !== 'connecting') return
    this.#token = token
    const ws = new this.#options.WebSocket(this.#options.url, ['chat.v1', `bearer.${token}`])
    this.#ws = ws
    this.#answerTimer = setTimeout(() => this.reconnect(), CONNECT_MS)
    ws.onmessage = event => this.#onMessage(ws, event.data)
    ws.onclose = event => this.#onClose(ws, event.code)
    ws.onerror = () => {}
  }

  #onMessage(ws: WebSocket, data: unknown): void {
    if (ws !== this.#ws) return
    this.#lastFrame_ms = this.#options.now()
    clearTimeout(this.#answerTimer)
    const frame = parseFrame(data)
    if (!frame) return
    if (frame.type === 'connection_established' && this.state === 'connecting') {
      this.#attempt = 0
      this.#floor_ms = 0
      this.#options.tokens.accept()
      this.#setState('open')
      this.#startHeartbeat()
    } else if (frame.type === 'going_away') {
      this.#floor_ms = frame.retry_after * 1000
    }
    this.#handlers.onFrame(frame)
  }

  #onClose(ws: WebSocket, code: number): void {
    if (ws !== this.#ws) return
    this.#disconnect()
    if (code === 4401 && this.#token) this.#options.tokens.refuse(this.#token)
    if (code === 4409 || code === 4429) this.#floor_ms = 15_000
    this.#scheduleReconnect()
  }

  #scheduleReconnect(): void {
    this.#setState('waiting')
    const wait_ms = Math.max(this.#floor_ms, backoffMs(this.#attempt++, this.#options.random))
    clearTimeout(this.#reconnectTimer)
    this.#reconnectTimer = setTimeout(() => void this.#connect(), wait_ms)
  }

  /** While the socket is open, pings a silent server and renews a token that expires soon. */
  #startHeartbeat(): void {
    this.#lastBeat_ms = this.#options.now()
    clearInterval(this.#heartbeat)
    this.#heartbeat = setInterval(() => {
      const now_ms = this.#options.now()
      const frozen = now_ms - this.#lastBeat_ms > 3 * HEARTBEAT_MS
      this.#lastBeat_ms = now_ms
      if (frozen) this.#ping(CHECK_PONG_MS)
      else if (now_ms - this.#lastFrame_ms > QUIET_MS) this.#ping(PONG_MS)
      const exp = this.#token ? claimsOf(this.#token).exp : undefined
      if (exp !== undefined && exp * 1000 - now_ms < RENEW_MS) void this.#renewToken()
    }, HEARTBEAT_MS)
  }

  async #renewToken(): Promise<void> {
    if (this.#renewing) return
    this.#renewing = true
    try {
      const token = await this.#options.tokens.get()
      if (token !== this.#token && this.send({ type: 'auth', token })) this.#token = token
    } catch {
      // The server closes with 4401 when the token expires, and reconnecting asks the source again.
    } finally {
      this.#renewing = false
    }
  }

  #ping(timeout_ms: number): void {
    if (!this.send({ type: 'ping', n: ++this.#pings })) return
    clearTimeout(this.#answerTimer)
    this.#answerTimer = setTimeout(() => this.reconnect(), timeout_ms)
  }

  #disconnect(code?: number): void {
    clearTimeout(this.#answerTimer)
    clearInterval(this.#heartbeat)
    const ws = this.#ws
    this.#ws = null
    if (ws && code !== undefined && ws.readyState <= 1) ws.close(code)
  }

  #setState(state: SocketState): void {
    if (this.state === state) return
    this.state = state
    this.#handlers.onState(state)
  }
}
