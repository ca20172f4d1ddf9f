/** The REST API of the fake server. A method is named after the HTTP method and the resource. */
import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { servePage } from './page.mjs'
import { Refused, State } from './state.mjs'
import { claims, tokenFor } from './tokens.mjs'

export class RestApi {
  state = new State()
  url = ''
  dist = null
  /** The lifetime of access tokens, in seconds. */
  tokenSeconds = 3600
  /** Whether the server has drafts: older ones have not. */
  hasDrafts = true
  /** The refresh tokens that have been used. */
  spent = new Set()

  /** Accepts a refresh token, which can be used only once. */
  spend(token) {
    const who = claims(token ?? '', 'refresh')
    if (!who || this.spent.has(token)) throw new Refused(401, 'unauthorized')
    this.spent.add(token)
    return who
  }

  /** Returns the user of a token. An unknown user is created if the token contains a name. */
  caller(token) {
    const who = claims(token ?? '')
    if (!who) return null
    const { user_id, username, full_name } = who
    if (!this.state.users.has(user_id) && username) {
      this.state.users.set(user_id, { id: user_id, username, full_name, password: null })
    }
    return this.state.users.has(user_id) ? user_id : null
  }

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
    if (what === 'mark_unread') {
      part.unread_from = state.messages.get(body.message_id).seq
      this.publishInbox(room, me)
      return [200, {}]
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

  'GET saved'(me, _parts, query) {
    const { state } = this
    const found = [...state.saved]
      .map(([key, saved_at]) => ({ key: key.split(' '), saved_at }))
      .filter(({ key }) => key[0] === String(me) && !state.messages.get(key[1]).is_deleted)
      .map(({ key, saved_at }) => ({ ...state.message(state.messages.get(key[1]), me, this.url), saved_at }))
    return this.paged(query, found.toReversed())
  }

  'GET threads'(_me, _parts, query) {
    return this.paged(query, [])
  }

  'GET reminders'(_me, _parts, query) {
    return this.paged(query, [])
  }

  'GET scheduled'(_me, _parts, query) {
    return this.paged(query, [])
  }

  'GET drafts'(me, _parts, query) {
    if (!this.hasDrafts) throw new Refused(404, 'not_found')
    return this.paged(query, this.state.draftsOf(me))
  }

  'PUT rooms'(me, [id, what], _query, body) {
    if (what !== 'draft' || !this.hasDrafts) throw new Refused(404, 'not_found')
    return [200, this.state.setDraft(this.state.rooms.get(id), me, body)]
  }

  'PATCH rooms'(me, [id], _query, body) {
    const room = this.state.rooms.get(id)
    if (!this.state.demand(room, me).is_admin) throw new Refused(403, 'forbidden')
    room.facts.name = body.name
    this.state.record(room, { type: 'room_updated', room: { ...room.facts } })
    this.publishInbox(room)
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
      .filter(m => !query.get('from') || m.sender_id === Number(query.get('from')))
      .filter(m => hasPart(m, query.get('has')))
      .filter(m => !query.get('before') || m.created_at < query.get('before'))
      .filter(m => !query.get('after') || m.created_at > query.get('after'))
      .toSorted((a, b) => b.created_at.localeCompare(a.created_at))
    return this.paged(
      query,
      found.map(m => state.message(m, me, this.url)),
    )
  }

  'POST messages'(me, _parts, _query, body) {
    const room = this.state.rooms.get(body.room)
    const { message, duplicate, publish } = this.state.post(room, me, body)
    publish?.()
    return [duplicate ? 200 : 201, this.state.message(message, me, this.url)]
  }

  liveMessage(id) {
    const message = this.state.messages.get(id)
    if (!message || message.is_deleted) throw new Refused(404, 'not_found')
    return message
  }

  reacted(me, [id, what, emoji], on) {
    if (what !== 'reactions') throw new Refused(404, 'not_found')
    const message = this.liveMessage(id)
    this.state.react(message, me, decodeURIComponent(emoji), on).publish?.()
    return [200, { message_id: id, reactions: this.state.reactionsFor(message, me) }]
  }

  'PUT messages'(me, [id, ...what]) {
    if (what[0] !== 'saved') return this.reacted(me, [id, ...what], true)
    const { room } = this.liveMessage(id)
    const saved_at = this.state.now()
    this.state.saved.set(`${me} ${id}`, saved_at)
    return [200, { message_id: id, room_id: room, saved_at }]
  }

  'PATCH messages'(me, [id], _query, body) {
    const message = this.liveMessage(id)
    if (message.sender_id !== me) throw new Refused(403, 'forbidden')
    this.state.edit(message, body.content)
    return [200, this.state.message(message, me, this.url)]
  }

  'DELETE messages'(me, [id, ...what]) {
    if (what[0] === 'saved') {
      this.state.saved.delete(`${me} ${id}`)
      return [204]
    }
    if (what.length > 0) return this.reacted(me, [id, ...what], false)
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
      Object.assign(part, { is_muted: body.muted, muted_until: body.muted_until ?? null })
      this.publishInbox(room, me)
      return [200, state.participant(room, part, me)]
    }
    const room = state.rooms.get(body.room)
    if (!state.demand(room, me).is_admin) throw new Refused(403, 'forbidden')
    return [201, state.participant(room, state.join(room, Number(body.user), false), me)]
  }

  'PATCH participants'(me, [id], _query, body) {
    const { room, part } = this.found(id)
    if (part.user === me && body.favourite !== undefined) {
      part.favourite = body.favourite
      this.publishInbox(room, me)
      return [200, this.state.participant(room, part, me)]
    }
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

/** Whether a message has what a search asks for. */
function hasPart({ message_type, file, content }, part) {
  if (!part) return true
  return part === 'image'
    ? message_type === 'image'
    : part === 'file'
      ? Boolean(file)
      : /https?:/.test(content)
}
