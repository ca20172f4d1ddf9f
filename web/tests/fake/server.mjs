/**
 * An in-memory server for tests that implements the API: REST, the user socket, and the built page.
 *
 * It implements no limits and no durability, and is never shipped.
 */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'
import { RestApi } from './rest.mjs'
import { Refused } from './state.mjs'

export class FakeServer extends RestApi {
  sockets = new Set()
  /**
   * Modifies or drops frames before they are sent, to simulate a bad connection.
   *
   * @type {((frame: any, session: any) => any) | null}
   */
  tamper = null
  port = 0

  constructor({ dist = null } = {}) {
    super()
    this.dist = dist
    this.state.onFrame = (room, frame) => this.publish(room, frame)
    this.state.onInbox = (room, only) => this.publishInbox(room, only)
    this.state.onPersonal = (user, frame) => this.forSessionsOf(user, s => this.send(s, frame))
    this.state.onAdded = (room, user) =>
      this.forSessionsOf(user, s => this.send(s, { type: 'room_added', room: room.facts }))
    this.state.onRemoved = (room, user) =>
      this.forSessionsOf(user, s => {
        s.rooms.delete(room.facts.id)
        const total_unread = this.state.totalUnread(user)
        this.send(s, { type: 'room_removed', room_id: room.facts.id, total_unread })
      })
  }

  async listen(port = 0) {
    this.http = createServer((req, res) => void this.answer(req, res))
    this.wss = new WebSocketServer({ noServer: true, handleProtocols: () => 'chat.v1' })
    this.http.on('upgrade', (req, socket, head) =>
      this.wss.handleUpgrade(req, socket, head, ws => this.accept(ws, req)),
    )
    await new Promise(done => this.http.listen(port, '127.0.0.1', done))
    this.port = this.http.address().port
    this.url = `http://127.0.0.1:${this.port}`
    return this
  }

  /** Closes every socket and stops listening. The state remains, so `listen(port)` is a restart. */
  async stop() {
    for (const s of this.sockets) s.ws.terminate()
    this.http.closeAllConnections()
    await new Promise(done => this.http.close(done))
  }

  /** Closes every socket without a close frame. */
  cut() {
    for (const s of this.sockets) s.ws.terminate()
  }

  accept(ws, req) {
    const offered = req.headers['sec-websocket-protocol'] ?? ''
    const token =
      /bearer\.([^,\s]+)/.exec(offered)?.[1] ?? new URL(req.url, this.url).searchParams.get('token')
    const user = this.caller(token)
    if (user === null) return ws.close(4401)
    const session = { ws, user, rooms: new Set() }
    const first = !this.online(session.user)
    this.sockets.add(session)
    ws.on('message', data => this.onFrame(session, JSON.parse(String(data))))
    ws.on('close', () => {
      this.sockets.delete(session)
      if (!this.online(session.user)) this.publishPresence(session.user, 'offline')
    })
    this.send(session, {
      type: 'connection_established',
      user_id: session.user,
      username: this.state.users.get(session.user).username,
      unread_count: this.state.totalUnread(session.user),
      protocol: 1,
    })
    if (first) this.publishPresence(session.user, 'online')
  }

  online(user) {
    return [...this.sockets].some(s => s.user === user)
  }

  forSessionsOf(user, action) {
    for (const s of this.sockets) if (s.user === user) action(s)
  }

  send(session, frame) {
    const out = this.tamper ? this.tamper(frame, session) : frame
    if (out) session.ws.send(JSON.stringify(out))
  }

  publish(room, frame, except = null) {
    for (const s of this.sockets) if (s.rooms.has(room.facts.id) && s.user !== except) this.send(s, frame)
  }

  publishPresence(user, status) {
    for (const room of this.state.roomsOf(user)) {
      this.publish(room, { type: 'presence', room_id: room.facts.id, user_id: user, status, last_seen: null })
    }
  }

  publishInbox(room, only = null) {
    for (const part of room.parts.values()) {
      if (part.left_at || (only !== null && part.user !== only)) continue
      const row = this.state.listRoom(room, part.user)
      this.forSessionsOf(part.user, s =>
        this.send(s, {
          type: 'inbox',
          room_id: room.facts.id,
          unread_count: row.unread_count,
          total_unread: this.state.totalUnread(part.user),
          last_message_preview: row.last_message_preview,
          last_message_sender: row.last_message_sender,
          last_message_time: row.last_message_time,
          display_name: row.display_name,
          partner: row.partner,
          is_active: row.is_active,
          is_muted: row.is_muted,
          favourite: row.favourite,
        }),
      )
    }
  }

  onFrame(session, frame) {
    if (frame.type === 'ping') return this.send(session, { type: 'pong', n: frame.n })
    if (frame.type === 'auth')
      return this.send(session, { type: 'auth_ok', expires_at: '2099-01-01T00:00:00Z' })
    const room = this.state.rooms.get(frame.room_id)
    try {
      this.state.demand(room, session.user)
      this.handle(session, room, frame)
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause
      const { client_id, room_id } = frame
      this.send(session, { type: 'error', code: cause.code, message: cause.code, room_id, client_id })
    }
  }

  handle(session, room, frame) {
    const { room_id } = frame
    switch (frame.type) {
      case 'subscribe':
        return this.subscribe(session, room, frame)
      case 'unsubscribe':
        return void session.rooms.delete(room_id)
      case 'chat_message': {
        const { message, duplicate, publish } = this.state.post(room, session.user, {
          content: frame.message,
          reply_to: frame.reply_to,
          client_id: frame.client_id,
        })
        const { id, seq, created_at } = message
        this.send(session, {
          type: 'ack',
          room_id,
          client_id: frame.client_id,
          message_id: id,
          seq,
          created_at,
          duplicate,
        })
        return publish?.()
      }
      case 'react': {
        const { client_id, message_id, emoji, on } = frame
        const message = this.state.messages.get(message_id)
        if (message?.room !== room_id) throw new Refused(404, 'not_found')
        const { rev: seq, publish } = this.state.react(message, session.user, emoji, on)
        const { created_at } = message
        this.send(session, {
          type: 'ack',
          room_id,
          client_id,
          message_id,
          seq,
          created_at,
          duplicate: !publish,
        })
        return publish?.()
      }
      case 'typing':
        return this.publish(
          room,
          {
            type: 'typing',
            room_id,
            user_id: session.user,
            username: this.state.users.get(session.user).username,
            is_typing: frame.is_typing,
          },
          session.user,
        )
      case 'read_receipt':
        return this.state.read(room, session.user, this.state.messages.get(frame.message_id)?.seq ?? 0)
      case 'mark_room_read':
        return this.state.read(room, session.user, room.log.length)
    }
  }

  subscribe(session, room, { room_id, since, epoch }) {
    const head = room.log.length
    session.rooms.add(room_id)
    this.send(session, {
      type: 'subscribed',
      room_id,
      seq: head,
      epoch: this.state.epoch,
      unread_count: this.state.unread(room, session.user),
    })
    if (since !== undefined) {
      const far = since > head || head - since > 1000 || (epoch && epoch !== this.state.epoch)
      if (!far)
        for (const entry of room.log.slice(since)) this.send(session, this.state.eventFrame(room, entry))
      this.send(session, { type: far ? 'reset' : 'synced', room_id, seq: head, epoch: this.state.epoch })
    }
    const marks = [...room.marks].map(([user_id, seq]) => ({ user_id, seq, read_at: null }))
    this.send(session, { type: 'read_state', room_id, marks })
    const online = [...room.parts.keys()].filter(user => this.online(user))
    this.send(session, { type: 'presence_state', room_id, online })
  }
}
