/**
 * A server for tests that speaks the contract from memory: REST, the user socket, and the built page.
 *
 * It keeps no promise about speed, limits or durability, and is never shipped.
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { WebSocketServer } from 'ws'
import { servePage } from './page.mjs'
import { Refused, State } from './state.mjs'

/** A token in the form of a JWT; nothing is signed. */
export function tokenFor(user, seconds = 3600, kind = 'access') {
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + seconds
  return `${part({ alg: 'HS256' })}.${part({ token_type: kind, user_id: user, exp, jti: randomUUID() })}.fake`
}

function claims(token, kind = 'access') {
  try {
    const body = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
    return body.token_type === kind && body.exp * 1000 > Date.now() ? body : null
  } catch {
    return null
  }
}

export class FakeServer {
  state = new State()
  sockets = new Set()
  spent = new Set()
  /** Set to change what happens to the next frames: for tests of a bad line. */
  /** @type {((frame: any, session: any) => any) | null} */
  tamper = null
  tokenSeconds = 3600
  port = 0
  url = ''

  constructor({ dist = null } = {}) {
    this.dist = dist
    this.state.onFrame = (room, frame) => this.tell(room, frame)
    this.state.onInbox = (room, only) => this.tellInbox(room, only)
    this.state.onAdded = (room, user) =>
      this.to(user, s => this.push(s, { type: 'room_added', room: room.facts }))
    this.state.onRemoved = (room, user) =>
      this.to(user, s => {
        s.rooms.delete(room.facts.id)
        const total_unread = this.state.totalUnread(user)
        this.push(s, { type: 'room_removed', room_id: room.facts.id, total_unread })
      })
  }

  async listen(port = 0) {
    this.http = createServer((req, res) => void this.answer(req, res))
    this.wss = new WebSocketServer({ noServer: true, handleProtocols: () => 'chat.v1' })
    this.http.on('upgrade', (req, socket, head) =>
      this.wss.handleUpgrade(req, socket, head, ws => this.greet(ws, req)),
    )
    await new Promise(done => this.http.listen(port, '127.0.0.1', done))
    this.port = this.http.address().port
    this.url = `http://127.0.0.1:${this.port}`
    return this
  }

  /** Ends every socket and stops listening; the state stays, so `listen(port)` is a restart. */
  async stop() {
    for (const s of this.sockets) s.ws.terminate()
    this.http.closeAllConnections()
    await new Promise(done => this.http.close(done))
  }

  cut() {
    for (const s of this.sockets) s.ws.terminate()
  }

  // --- the user socket

  greet(ws, req) {
    const offered = req.headers['sec-websocket-protocol'] ?? ''
    const token =
      /bearer\.([^,\s]+)/.exec(offered)?.[1] ?? new URL(req.url, this.url).searchParams.get('token')
    const user = this.caller(token)
    if (user === null) return ws.close(4401)
    const session = { ws, user, rooms: new Set() }
    const first = !this.online(session.user)
    this.sockets.add(session)
    ws.on('message', data => this.hear(session, JSON.parse(String(data))))
    ws.on('close', () => {
      this.sockets.delete(session)
      if (!this.online(session.user)) this.tellPresence(session.user, 'offline')
    })
    this.push(session, {
      type: 'connection_established',
      user_id: session.user,
      username: this.state.users.get(session.user).username,
      unread_count: this.state.totalUnread(session.user),
      protocol: 1,
    })
    if (first) this.tellPresence(session.user, 'online')
  }

  /** Takes a refresh token, which is good for one use. */
  spend(token) {
    const who = claims(token ?? '', 'refresh')
    if (!who || this.spent.has(token)) throw new Refused(401, 'unauthorized')
    this.spent.add(token)
    return who
  }

  /** Whose token it is; one who is unknown but brings a name is let in. */
  caller(token) {
    const who = claims(token ?? '')
    if (!who) return null
    const { user_id, username, full_name } = who
    if (!this.state.users.has(user_id) && username) {
      this.state.users.set(user_id, { id: user_id, username, full_name, password: null })
    }
    return this.state.users.has(user_id) ? user_id : null
  }

  online(user) {
    return [...this.sockets].some(s => s.user === user)
  }

  to(user, act) {
    for (const s of this.sockets) if (s.user === user) act(s)
  }

  push(session, frame) {
    const out = this.tamper ? this.tamper(frame, session) : frame
    if (out) session.ws.send(JSON.stringify(out))
  }

  tell(room, frame, but = null) {
    for (const s of this.sockets) if (s.rooms.has(room.facts.id) && s.user !== but) this.push(s, frame)
  }

  tellPresence(user, status) {
    for (const room of this.state.roomsOf(user)) {
      this.tell(room, { type: 'presence', room_id: room.facts.id, user_id: user, status, last_seen: null })
    }
  }

  tellInbox(room, only = null) {
    for (const part of room.parts.values()) {
      if (part.left_at || (only !== null && part.user !== only)) continue
      const row = this.state.listRoom(room, part.user)
      this.to(part.user, s =>
        this.push(s, {
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
        }),
      )
    }
  }

  hear(session, frame) {
    if (frame.type === 'ping') return this.push(session, { type: 'pong', n: frame.n })
    if (frame.type === 'auth')
      return this.push(session, { type: 'auth_ok', expires_at: '2099-01-01T00:00:00Z' })
    const room = this.state.rooms.get(frame.room_id)
    try {
      this.state.demand(room, session.user)
      this.act(session, room, frame)
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause
      const { client_id, room_id } = frame
      this.push(session, { type: 'error', code: cause.code, message: cause.code, room_id, client_id })
    }
  }

  act(session, room, frame) {
    const { room_id } = frame
    switch (frame.type) {
      case 'subscribe':
        return this.subscribe(session, room, frame)
      case 'unsubscribe':
        return void session.rooms.delete(room_id)
      case 'chat_message': {
        const { message, duplicate, tell } = this.state.post(room, session.user, {
          content: frame.message,
          reply_to: frame.reply_to,
          client_id: frame.client_id,
        })
        const { id, seq, created_at } = message
        this.push(session, {
          type: 'ack',
          room_id,
          client_id: frame.client_id,
          message_id: id,
          seq,
          created_at,
          duplicate,
        })
        return tell?.()
      }
      case 'typing':
        return this.tell(
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
    this.push(session, {
      type: 'subscribed',
      room_id,
      seq: head,
      epoch: this.state.epoch,
      unread_count: this.state.unread(room, session.user),
    })
    if (since !== undefined) {
      const far = since > head || head - since > 1000 || (epoch && epoch !== this.state.epoch)
      if (!far)
        for (const entry of room.log.slice(since)) this.push(session, this.state.eventFrame(room, entry))
      this.push(session, { type: far ? 'reset' : 'synced', room_id, seq: head, epoch: this.state.epoch })
    }
    const marks = [...room.marks].map(([user_id, seq]) => ({ user_id, seq, read_at: null }))
    this.push(session, { type: 'read_state', room_id, marks })
    const online = [...room.parts.keys()].filter(user => this.online(user))
    this.push(session, { type: 'presence_state', room_id, online })
  }

  // --- REST

  async answer(req, res) {
    res.setHeader('Access-Control-Allow-Origin', '*')
    res.setHeader('Access-Control-Allow-Headers', 'authorization, content-type')
    res.setHeader('Access-Control-Allow-Methods', 'GET, POST, PUT, PATCH, DELETE')
    const url = new URL(req.url, this.url)
    try {
      if (req.method === 'OPTIONS') return res.writeHead(204).end()
      if (!url.pathname.startsWith('/api/')) return servePage(this.dist, url.pathname, res)
      const raw = await buffer(req)
      const body = await this.body(req, raw)
      const [status, value] = this.route(req, url, body)
      if (value instanceof Buffer)
        return res.writeHead(200, { 'Content-Type': status, 'X-Content-Type-Options': 'nosniff' }).end(value)
      res.writeHead(status, { 'Content-Type': 'application/json' })
      res.end(value === undefined ? '' : JSON.stringify(value))
    } catch (cause) {
      if (!(cause instanceof Refused)) console.error(cause)
      const refused = cause instanceof Refused ? cause : new Refused(500, 'internal')
      res.writeHead(refused.status, { 'Content-Type': 'application/json' }).end(JSON.stringify(refused.body))
    }
  }

  async body(req, raw) {
    const type = req.headers['content-type'] ?? ''
    if (!raw.length) return {}
    if (!type.startsWith('multipart/')) return JSON.parse(raw.toString())
    const form = await new Response(raw, { headers: { 'Content-Type': type } }).formData()
    const fields = Object.fromEntries(form)
    const upload = form.get('attachment')
    if (!upload) return fields
    const data = Buffer.from(await upload.arrayBuffer())
    const id = randomUUID()
    this.state.files.set(id, { name: upload.name, mime: upload.type, size: data.length, data })
    return { ...fields, file: id }
  }

  route(req, url, body) {
    const path = url.pathname
    const query = url.searchParams
    const { state } = this
    if (path === '/api/token/') {
      const user = [...state.users.values()].find(
        u => u.username === body.username && u.password === body.password,
      )
      if (!user) throw new Refused(401, 'unauthorized')
      return [
        200,
        { access: tokenFor(user.id, this.tokenSeconds), refresh: tokenFor(user.id, 86_400, 'refresh') },
      ]
    }
    if (path === '/api/token/refresh/') {
      const { user_id } = this.spend(body.refresh)
      return [
        200,
        { access: tokenFor(user_id, this.tokenSeconds), refresh: tokenFor(user_id, 86_400, 'refresh') },
      ]
    }
    if (path === '/api/token/revoke/') {
      this.spend(body.refresh)
      return [200, {}]
    }
    const file = /^\/api\/chat\/files\/([^/]+)\/$/.exec(path)
    if (file && query.get('sig')) {
      const stored = state.files.get(file[1])
      return [stored.mime, stored.data]
    }
    const me = this.caller((req.headers.authorization ?? '').replace(/^Bearer /, ''))
    if (me === null) throw new Refused(401, 'unauthorized')
    const parts = path.replace('/api/chat/', '').split('/').filter(Boolean)
    const call = this[`${req.method} ${parts[0]}`]
    if (!call) throw new Refused(404, 'not_found')
    return call.call(this, me, parts.slice(1), query, body)
  }

  paged(query, all) {
    const size = Number(query.get('page_size') ?? 10)
    const page = Number(query.get('page') ?? 1)
    const next = page * size < all.length ? `${this.url}/?page=${page + 1}` : null
    return [
      200,
      { count: all.length, next, previous: null, results: all.slice((page - 1) * size, page * size) },
    ]
  }

  'GET users'(me, [id], query) {
    if (id === 'me') return [200, this.state.brief(me, me)]
    const term = (query.get('search') ?? '').toLowerCase()
    const found = [...this.state.users.values()].filter(u =>
      `${u.username} ${u.full_name}`.toLowerCase().includes(term),
    )
    return this.paged(
      query,
      found.map(u => this.state.brief(u.id, me)),
    )
  }

  'GET rooms'(me, [id, what], query) {
    const { state } = this
    if (!id) {
      const rooms = state.roomsOf(me).filter(r => query.get('include_archived') || !r.facts.archived_at)
      return this.paged(
        query,
        rooms.map(r => state.listRoom(r, me)),
      )
    }
    const room = state.rooms.get(id)
    state.demand(room, me)
    if (what !== 'events') return [200, state.room(room, me)]
    const since = Number(query.get('since'))
    const limit = Number(query.get('limit') ?? 100)
    const events = room.log.slice(since, since + limit).map(entry => state.eventFrame(room, entry))
    const has_more = since + limit < room.log.length
    return [200, { room_id: id, epoch: state.epoch, seq: room.log.length, events, has_more }]
  }

  'POST rooms'(me, [id, what], _query, body) {
    const { state } = this
    if (!id) {
      const room = state.makeRoom(body, me, (body.participant_ids ?? []).map(Number))
      return [201, state.room(room, me)]
    }
    const room = state.rooms.get(id)
    const part = state.demand(room, me)
    if (what === 'leave') {
      state.leave(room, part)
      return [200, { message: 'Successfully left the room' }]
    }
    if (what === 'mark_read') {
      state.read(room, me, room.log.length)
      return [200, { message: 'Room marked as read' }]
    }
    if (!part.is_admin) throw new Refused(403, 'forbidden')
    room.facts.archived_at = what === 'archive' ? state.now() : null
    room.facts.is_active = what !== 'archive'
    state.record(room, { type: 'room_updated', room: { ...room.facts } })
    return [200, state.room(room, me)]
  }

  'PATCH rooms'(me, [id], _query, body) {
    const room = this.state.rooms.get(id)
    if (!this.state.demand(room, me).is_admin) throw new Refused(403, 'forbidden')
    room.facts.name = body.name
    this.state.record(room, { type: 'room_updated', room: { ...room.facts } })
    this.tellInbox(room)
    return [200, this.state.room(room, me)]
  }

  subjectRoom(kind, me, [id], body) {
    const { state } = this
    const known = [...state.rooms.values()].find(r => r.facts[kind] === Number(id))
    const room = known ?? state.makeRoom({ room_type: kind, [kind]: Number(id), title: body.title }, me)
    if (!room.parts.has(me)) state.join(room, me, false)
    return [known ? 200 : 201, state.room(room, me)]
  }

  'PUT tasks'(me, parts, _query, body) {
    return this.subjectRoom('task', me, parts, body)
  }

  'PUT properties'(me, parts, _query, body) {
    return this.subjectRoom('property', me, parts, body)
  }

  'GET messages'(me, [id], query) {
    const { state } = this
    if (id && id !== 'search') {
      const message = state.messages.get(id)
      if (!message || message.is_deleted) throw new Refused(404, 'not_found')
      state.demand(state.rooms.get(message.room), me)
      return [200, state.message(message, me, this.url)]
    }
    const term = (query.get('q') ?? '').toLowerCase()
    const type = query.get('message_type')
    const found = state
      .roomsOf(me)
      .filter(r => !query.get('room') || r.facts.id === query.get('room'))
      .flatMap(r => state.messagesOf(r))
      .filter(
        m => !m.is_deleted && m.content.toLowerCase().includes(term) && (!type || m.message_type === type),
      )
      .toSorted((a, b) => b.created_at.localeCompare(a.created_at))
    return this.paged(
      query,
      found.map(m => state.message(m, me, this.url)),
    )
  }

  'POST messages'(me, _parts, _query, body) {
    const room = this.state.rooms.get(body.room)
    const { message, duplicate, tell } = this.state.post(room, me, body)
    tell?.()
    return [duplicate ? 200 : 201, this.state.message(message, me, this.url)]
  }

  liveMessage(id) {
    const message = this.state.messages.get(id)
    if (!message || message.is_deleted) throw new Refused(404, 'not_found')
    return message
  }

  'PATCH messages'(me, [id], _query, body) {
    const message = this.liveMessage(id)
    if (message.sender_id !== me) throw new Refused(403, 'forbidden')
    this.state.edit(message, body.content)
    return [200, this.state.message(message, me, this.url)]
  }

  'DELETE messages'(me, [id]) {
    const message = this.liveMessage(id)
    const room = this.state.rooms.get(message.room)
    const mine = message.sender_id === me
    const rules = this.state.demand(room, me).is_admin && room.facts.room_type !== 'direct'
    if (!mine && !rules) throw new Refused(403, 'forbidden')
    this.state.remove(message, mine ? 'author' : 'moderator')
    return [204]
  }

  'GET participants'(me, _parts, query) {
    const user = Number(query.get('user'))
    const found = this.state
      .roomsOf(me)
      .filter(r => !query.get('room') || r.facts.id === query.get('room'))
      .flatMap(r => [...r.parts.values()].map(p => this.state.participant(r, p, me)))
      .filter(p => !p.left_at && (!user || p.user.id === user))
    return this.paged(query, found)
  }

  found(id) {
    for (const room of this.state.rooms.values()) {
      const part = [...room.parts.values()].find(p => p.id === Number(id))
      if (part) return { room, part }
    }
    throw new Refused(404, 'not_found')
  }

  'POST participants'(me, [id, what], _query, body) {
    const { state } = this
    if (what === 'mute') {
      const { room, part } = this.found(id)
      part.is_muted = body.muted
      this.tellInbox(room, me)
      return [200, state.participant(room, part, me)]
    }
    const room = state.rooms.get(body.room)
    if (!state.demand(room, me).is_admin) throw new Refused(403, 'forbidden')
    return [201, state.participant(room, state.join(room, Number(body.user), false), me)]
  }

  'PATCH participants'(me, [id], _query, body) {
    const { room, part } = this.found(id)
    if (!this.state.demand(room, me).is_admin) throw new Refused(403, 'forbidden')
    part.is_admin = body.is_admin
    this.state.record(room, {
      type: 'participant_updated',
      participant: this.state.participantFrame(room, part),
    })
    return [200, this.state.participant(room, part, me)]
  }

  'DELETE participants'(me, [id]) {
    const { room, part } = this.found(id)
    if (!this.state.demand(room, me).is_admin) throw new Refused(403, 'forbidden')
    this.state.leave(room, part)
    return [204]
  }
}
