/** Rooms, people and messages of the fake server, in memory: the contract's rules, small. */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'

const FAR = '2099-01-01T00:00:00Z'

export class Refused extends Error {
  constructor(status, code, body = undefined) {
    super(code)
    this.status = status
    this.code = code
    this.body = body ?? { detail: code, code }
  }
}

export class State {
  users = new Map()
  rooms = new Map()
  messages = new Map()
  files = new Map()
  epoch = randomUUID()
  /** @type {number | null} */
  clock = null
  path = ''
  nextPerson = 1
  nextParticipant = 1
  /** Told `(room, frame)` for each event and signal. */
  onFrame = (_room, _frame) => {}
  /** Told `(room)` when its row in lists has changed. */
  onInbox = (_room, _only = null) => {}
  onAdded = (_room, _user) => {}
  onRemoved = (_room, _user) => {}

  /** Takes up what an earlier process has kept at `path`, and keeps every change there from now on. */
  keepAt(path) {
    if (existsSync(path)) Object.assign(this, deserialize(readFileSync(path)))
    this.path = path
    this.keep()
  }

  keep() {
    if (!this.path) return
    const { users, rooms, messages, files, epoch, nextPerson, nextParticipant } = this
    writeFileSync(this.path, serialize({ users, rooms, messages, files, epoch, nextPerson, nextParticipant }))
  }

  now() {
    return new Date(this.clock ?? Date.now()).toISOString()
  }

  addUser(username, full_name, password = 'demo') {
    const user = { id: this.nextPerson++, username, full_name, password }
    this.users.set(user.id, user)
    return user
  }

  brief(id, caller) {
    const user = this.users.get(id)
    const email = caller === id ? `${user.username}@example.org` : ''
    return { id, username: user.username, full_name: user.full_name || user.username, email }
  }

  framed(id) {
    const { username, full_name } = this.brief(id)
    return { id, username, full_name }
  }

  makeRoom({ room_type, name = '', task = null, property = null, title = null }, creator, others = []) {
    if (room_type === 'direct') {
      const known = [...this.rooms.values()].find(
        r => r.facts.room_type === 'direct' && r.parts.has(creator) && r.parts.has(others[0]),
      )
      if (known) return known
    }
    const at = this.now()
    const facts = {
      id: randomUUID(),
      name,
      room_type,
      task,
      property,
      title,
      is_active: true,
      archived_at: null,
      modified_at: at,
    }
    const room = {
      facts,
      created_at: at,
      creator,
      log: [],
      parts: new Map(),
      marks: new Map(),
      sent: new Map(),
    }
    this.rooms.set(facts.id, room)
    this.record(room, { type: 'room_updated', room: { ...facts } })
    this.join(room, creator, room_type !== 'direct')
    for (const other of others) this.join(room, other, false)
    return room
  }

  join(room, user, is_admin) {
    let part = room.parts.get(user)
    if (!part) {
      part = {
        id: this.nextParticipant++,
        user,
        joined_at: this.now(),
        left_at: null,
        is_admin,
        is_muted: false,
      }
      room.parts.set(user, part)
    }
    Object.assign(part, { left_at: null, is_admin, joined_seq: room.log.length + 1 })
    this.record(room, { type: 'participant_joined', participant: this.participantFrame(room, part) })
    this.onAdded(room, user)
    return part
  }

  leave(room, part) {
    part.left_at = this.now()
    this.record(room, { type: 'participant_left', participant: this.participantFrame(room, part) })
    this.onRemoved(room, part.user)
  }

  participantFrame(room, part) {
    const { id, joined_at, left_at, is_admin } = part
    return { id, user: this.framed(part.user), room: room.facts.id, joined_at, left_at, is_admin }
  }

  participant(room, part, caller) {
    const own = part.user === caller
    return {
      ...this.participantFrame(room, part),
      user: this.brief(part.user, caller),
      last_read_at: null,
      unread_count: own ? this.unread(room, part.user) : 0,
      is_muted: part.is_muted,
      muted_until: null,
    }
  }

  /** Appends an event and tells it. */
  record(room, event) {
    const entry = { ...event, seq: room.log.length + 1 }
    room.log.push(entry)
    room.facts.modified_at = this.now()
    this.keep()
    this.onFrame(room, this.eventFrame(room, entry))
    return entry
  }

  eventFrame(room, entry) {
    const { message_id, ...rest } = entry
    const frame = { ...rest, room_id: room.facts.id }
    if (message_id === undefined) return frame
    if (entry.type === 'message_deleted')
      return { ...frame, message_id, removed_by: this.messages.get(message_id).removed_by }
    return { ...frame, message: this.messageFrame(this.messages.get(message_id)) }
  }

  messageFrame(message) {
    const { sender_id, room, file, ...rest } = message
    const other = message.reply_to_id && this.messages.get(message.reply_to_id)
    return {
      ...rest,
      room_id: room,
      sender: this.framed(sender_id),
      attachment: file && !message.is_deleted ? `/api/chat/files/${file}/` : null,
      reply_to: other
        ? {
            id: other.id,
            sender: { id: other.sender_id, username: this.users.get(other.sender_id).username },
            content: [...other.content].slice(0, 100).join(''),
            created_at: other.created_at,
          }
        : null,
    }
  }

  /** A message as REST gives it to `caller`. */
  message(message, caller, base) {
    const { room_id, ...frame } = this.messageFrame(message)
    const room = this.rooms.get(room_id)
    const readers = [...room.marks].filter(([u, s]) => s >= message.seq && u !== message.sender_id)
    return {
      ...frame,
      room: room_id,
      attachment: frame.attachment && `${base}${frame.attachment}?u=${caller}&exp=4070908800&sig=fake`,
      modified_at: message.edited_at ?? message.created_at,
      deleted_at: null,
      is_read: message.sender_id === caller || (room.marks.get(caller) ?? 0) >= message.seq,
      read_count: readers.length,
      read_by: Object.fromEntries(readers.map(([u]) => [u, FAR])),
    }
  }

  /** Sends; gives `{message, duplicate}`. */
  post(room, sender, { content = '', reply_to = null, client_id = null, file = null }) {
    this.demand(room, sender)
    if (room.facts.archived_at) throw new Refused(409, 'archived')
    const text = content.trim()
    if (!text.replace(/[\s\u200b\ufeff]/g, '') && !file)
      throw new Refused(400, 'invalid', { content: ['blank'] })
    if ([...text].length > 4000) throw new Refused(400, 'invalid', { content: ['too long'] })
    const key = client_id && `${sender}:${client_id}`
    if (key && room.sent.has(key)) return { message: this.messages.get(room.sent.get(key)), duplicate: true }
    const seq = room.log.length + 1
    const other = reply_to && this.messages.get(reply_to)
    const stored = file && this.files.get(file)
    const message = {
      id: randomUUID(),
      room: room.facts.id,
      sender_id: sender,
      content: text,
      message_type: stored ? (stored.mime.startsWith('image/') ? 'image' : 'file') : 'text',
      file,
      attachment_name: stored?.name ?? '',
      attachment_size: stored?.size ?? null,
      reply_to_id: other?.room === room.facts.id ? reply_to : null,
      created_at: this.now(),
      is_edited: false,
      edited_at: null,
      is_deleted: false,
      seq,
      rev: seq,
      client_id,
    }
    this.messages.set(message.id, message)
    if (key) room.sent.set(key, message.id)
    return { message, duplicate: false, tell: () => this.tellPosted(room, message) }
  }

  tellPosted(room, message) {
    this.record(room, { type: 'chat_message', message_id: message.id })
    this.onInbox(room)
  }

  edit(message, content) {
    const room = this.rooms.get(message.room)
    Object.assign(message, {
      content: content.trim(),
      is_edited: true,
      edited_at: this.now(),
      rev: room.log.length + 1,
    })
    this.record(room, { type: 'message_updated', message_id: message.id })
    this.onInbox(room)
  }

  remove(message, removed_by = 'author') {
    const room = this.rooms.get(message.room)
    const rev = room.log.length + 1
    Object.assign(message, { content: '[Message deleted]', is_deleted: true, removed_by, rev })
    this.record(room, { type: 'message_deleted', message_id: message.id })
    this.onInbox(room)
  }

  read(room, user, seq) {
    const up_to = Math.min(seq, room.log.length)
    if (up_to <= (room.marks.get(user) ?? 0)) return
    room.marks.set(user, up_to)
    this.keep()
    const last = this.messagesOf(room).findLast(m => m.seq <= up_to)
    this.onFrame(room, {
      type: 'read_receipt',
      room_id: room.facts.id,
      message_id: last?.id ?? null,
      user_id: user,
      read_at: this.now(),
      up_to,
    })
    this.onInbox(room, user)
  }

  demand(room, user) {
    if (!room) throw new Refused(404, 'not_found')
    const part = room.parts.get(user)
    if (!part || part.left_at) throw new Refused(403, 'forbidden')
    return part
  }

  messagesOf(room) {
    return room.log.filter(e => e.type === 'chat_message').map(e => this.messages.get(e.message_id))
  }

  unread(room, user) {
    const part = room.parts.get(user)
    const after = Math.max(room.marks.get(user) ?? 0, part?.joined_seq ?? 0)
    return this.messagesOf(room).filter(m => m.seq > after && m.sender_id !== user && !m.is_deleted).length
  }

  roomsOf(user) {
    return [...this.rooms.values()].filter(r => r.parts.has(user) && !r.parts.get(user).left_at)
  }

  totalUnread(user) {
    return this.roomsOf(user)
      .filter(r => r.facts.is_active && !r.parts.get(user).is_muted)
      .reduce((sum, r) => sum + this.unread(r, user), 0)
  }

  partner(room, caller) {
    const other = [...room.parts.keys()].find(user => user !== caller)
    return room.facts.room_type === 'direct' && other !== undefined ? this.framed(other) : null
  }

  displayName(room, caller) {
    const { name, room_type, title, id } = room.facts
    if (name) return name
    const other = [...room.parts.keys()].find(u => u !== caller)
    if (room_type === 'direct' && other) return this.brief(other).full_name
    if (title) return `${room_type === 'task' ? 'Task' : 'Property'}: ${title}`
    return `Chat #${id.slice(0, 8)}`
  }

  listRoom(room, caller) {
    const last = this.messagesOf(room).findLast(m => !m.is_deleted)
    const kind = { image: '[Image]', file: '[File Attachment]' }[last?.message_type]
    return {
      id: room.facts.id,
      display_name: this.displayName(room, caller),
      room_type: room.facts.room_type,
      partner: this.partner(room, caller),
      is_active: room.facts.is_active,
      archived_at: room.facts.archived_at,
      is_muted: room.parts.get(caller).is_muted,
      unread_count: this.unread(room, caller),
      last_message_preview: last ? (kind ?? [...last.content].slice(0, 100).join('')) : 'No messages yet',
      last_message_sender: last ? this.framed(last.sender_id) : null,
      last_message_time: last?.created_at ?? room.created_at,
      participant_count: room.parts.size,
      modified_at: room.facts.modified_at,
    }
  }

  room(room, caller) {
    const parts = [...room.parts.values()].filter(p => !p.left_at)
    return {
      ...room.facts,
      created_at: room.created_at,
      created_by: this.brief(room.creator, caller),
      participants: parts.map(p => this.participant(room, p, caller)),
      participant_count: parts.length,
      last_message: null,
      unread_count: this.unread(room, caller),
      display_name: this.displayName(room, caller),
    }
  }
}
