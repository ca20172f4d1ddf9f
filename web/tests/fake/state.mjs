/** The state of the fake server: rooms, users and messages, by a small version of the server's rules. */
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
  /** By user and room. */
  drafts = new Map()
  /** By user and message, with the time of saving. */
  saved = new Map()
  epoch = randomUUID()
  /** @type {number | null} */
  clock = null
  path = ''
  nextPerson = 1
  nextParticipant = 1
  /** Called with each event and signal of a room. */
  onFrame = (_room, _frame) => {}
  /** Called when a room's row in the list has changed. */
  onInbox = (_room, _only = null) => {}
  onAdded = (_room, _user) => {}
  onRemoved = (_room, _user) => {}
  /** Called with each frame that only one user gets. */
  onPersonal = (_user, _frame) => {}

  /** Restores what an earlier process has stored at `path`, and stores every change there from now on. */
  keepAt(path) {
    if (existsSync(path)) Object.assign(this, deserialize(readFileSync(path)))
    this.path = path
    this.keep()
  }

  keep() {
    if (!this.path) return
    const { users, rooms, messages, files, drafts, epoch, nextPerson, nextParticipant } = this
    const kept = { users, rooms, messages, files, drafts, epoch, nextPerson, nextParticipant }
    writeFileSync(this.path, serialize(kept))
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
        muted_until: null,
        favourite: false,
        /** The `seq` from which on messages count as unread whatever the mark says. */
        unread_from: null,
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
    const user = this.framed(part.user)
    const role = is_admin ? 'admin' : 'member'
    return { id, user, room: room.facts.id, joined_at, left_at, is_admin, role, until: null, external: false }
  }

  participant(room, part, caller) {
    const own = part.user === caller
    return {
      ...this.participantFrame(room, part),
      user: this.brief(part.user, caller),
      last_read_at: null,
      unread_count: own ? this.unread(room, part.user) : 0,
      is_muted: part.is_muted,
      muted_until: part.muted_until,
      favourite: own ? part.favourite : null,
    }
  }

  /** Appends an event and publishes it. */
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
    const message = this.messages.get(message_id)
    if (entry.type === 'message_deleted') return { ...frame, message_id, removed_by: message.removed_by }
    if (entry.type === 'card_changed') return { ...frame, message_id, rev: entry.seq, card: message.card }
    const isWhole = entry.type === 'chat_message' || entry.type === 'message_updated'
    return isWhole ? { ...frame, message: this.messageFrame(message) } : { ...frame, message_id }
  }

  messageFrame(message) {
    const { sender_id, room, file, sums, ...rest } = message
    const other = message.reply_to_id && this.messages.get(message.reply_to_id)
    return {
      ...rest,
      room_id: room,
      sender: this.framed(sender_id),
      attachment: file && !message.is_deleted ? `/api/chat/files/${file}/` : null,
      thread: message.thread ?? (sums ? { root_id: message.id, ...sums } : null),
      reactions: message.reactions.map(({ emoji, count, users }) => ({ emoji, count, users })),
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

  /** Returns a message as REST returns it to `caller`. */
  message(message, caller, base) {
    const { room_id, ...frame } = this.messageFrame(message)
    const room = this.rooms.get(room_id)
    const readers = [...room.marks].filter(([u, s]) => s >= message.seq && u !== message.sender_id)
    return {
      ...frame,
      room: room_id,
      reactions: this.reactionsFor(message, caller),
      attachment: frame.attachment && `${base}${frame.attachment}?u=${caller}&exp=4070908800&sig=fake`,
      modified_at: message.edited_at ?? message.created_at,
      deleted_at: null,
      is_read: message.sender_id === caller || (room.marks.get(caller) ?? 0) >= message.seq,
      read_count: readers.length,
      read_by: Object.fromEntries(readers.map(([u]) => [u, FAR])),
    }
  }

  /** Returns the reactions to a message as REST returns them to `caller`. */
  reactionsFor({ reactions }, caller) {
    return reactions.map(({ emoji, count, users, all }) => ({ emoji, count, users, mine: all.has(caller) }))
  }

  /** Adds or removes a reaction. Returns the message's `rev`, and `publish` if something has changed. */
  react(message, user_id, emoji, on) {
    const room = this.rooms.get(message.room)
    this.demand(room, user_id)
    if (room.facts.archived_at) throw new Refused(409, 'archived')
    if (message.is_deleted) throw new Refused(404, 'not_found')
    if (!/\p{Extended_Pictographic}/u.test(emoji))
      throw new Refused(400, 'invalid', { emoji: ['not an emoji'] })
    let reaction = message.reactions.find(one => one.emoji === emoji)
    if (Boolean(reaction?.all.has(user_id)) === on) return { rev: message.rev }
    if (!reaction) {
      reaction = { emoji, count: 0, users: [], all: new Set() }
      message.reactions.push(reaction)
    }
    reaction.count += on ? 1 : -1
    if (on) reaction.all.add(user_id)
    else reaction.all.delete(user_id)
    if (!on) reaction.users = reaction.users.filter(id => id !== user_id)
    else if (reaction.users.length < 20) reaction.users.push(user_id)
    message.reactions = message.reactions.filter(one => one.count > 0)
    message.rev = room.log.length + 1
    const event = { type: 'reaction', message_id: message.id, user_id, emoji, added: on }
    return { rev: message.rev, publish: () => this.record(room, event) }
  }

  /** Creates a message. Returns `{message, duplicate}`, and `publish`, which publishes a new one. */
  post(room, sender, { content = '', reply_to = null, client_id = null, file = null, ...extras }) {
    this.demand(room, sender)
    if (room.facts.archived_at) throw new Refused(409, 'archived')
    const { card = null, thread_root, in_timeline = true } = extras
    const text = content.trim() || (card?.title ?? '')
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
      reactions: [],
      card: card && structuredClone(card),
      thread: null,
      /** The sums of the thread of which it is the root. */
      sums: null,
      ...(thread_root && !in_timeline && { in_timeline }),
    }
    const root = thread_root && this.rootOf(this.messages.get(thread_root))
    if (root) message.thread = { root_id: root.id, replies: 0, last_reply_at: null }
    if (root) this.count(root, 1, message.created_at, seq)
    this.messages.set(message.id, message)
    if (key) room.sent.set(key, message.id)
    return { message, duplicate: false, publish: () => this.publishPosted(room, message) }
  }

  /** The root of a message's thread, which may be the message itself. */
  rootOf(message) {
    return message?.thread ? this.messages.get(message.thread.root_id) : message
  }

  /** Changes the number of replies in a thread. */
  count(root, by, last_reply_at, rev) {
    root.sums = { replies: (root.sums?.replies ?? 0) + by, last_reply_at }
    root.rev = rev
  }

  /** Ticks an item of a checklist, or takes that back. */
  tick(message, user_id, item, on) {
    const room = this.rooms.get(message.room)
    const one = message.card?.items.find(({ id }) => id === item)
    if (!one || message.is_deleted || (one.done_by !== null) === on) return
    Object.assign(one, { done_by: on ? user_id : null, done_at: on ? this.now() : null })
    message.rev = room.log.length + 1
    this.record(room, { type: 'card_changed', message_id: message.id })
  }

  publishPosted(room, message) {
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
    const gone = {
      content: '[Message deleted]',
      is_deleted: true,
      removed_by,
      rev,
      reactions: [],
      card: null,
    }
    Object.assign(message, gone)
    this.record(room, { type: 'message_deleted', message_id: message.id, ...this.uncounted(message, rev) })
    this.onInbox(room)
  }

  /** Returns the sums of the thread after one of its replies has been deleted. */
  uncounted(message, rev) {
    const root = message.thread && this.rootOf(message)
    if (!root) return {}
    const isLeft = one => one.thread?.root_id === root.id && !one.is_deleted
    const last = this.messagesOf(this.rooms.get(message.room)).findLast(isLeft)
    this.count(root, -1, last?.created_at ?? null, rev)
    return { thread: { root_id: root.id, ...root.sums } }
  }

  read(room, user, seq) {
    const up_to = Math.min(seq, room.log.length)
    const part = room.parts.get(user)
    if (part.unread_from !== null) {
      part.unread_from = null
      this.onInbox(room, user)
    }
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

  setDraft(room, user, { content, reply_to = null }) {
    this.demand(room, user)
    const room_id = room.facts.id
    const draft = { room_id, content, reply_to_id: content ? reply_to : null, updated_at: this.now() }
    if (content) this.drafts.set(`${user} ${room_id}`, draft)
    else this.drafts.delete(`${user} ${room_id}`)
    this.keep()
    this.onPersonal(user, { type: 'draft', ...draft })
    return draft
  }

  draftsOf(user) {
    return [...this.drafts].filter(([key]) => key.startsWith(`${user} `)).map(([, draft]) => draft)
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
    const read = part?.unread_from ? part.unread_from - 1 : (room.marks.get(user) ?? 0)
    const after = Math.max(read, part?.joined_seq ?? 0)
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
      favourite: room.parts.get(caller).favourite,
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
