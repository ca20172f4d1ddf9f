import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseFrame } from '../src/client/frame.ts'
import { EMPTY_INBOX, withFrame, withRooms } from '../src/client/inbox.ts'
import { findMessage, fold, openTimeline, type Timeline } from '../src/client/timeline.ts'
import type {
  ClientFrame,
  InboxFrame,
  ListedRoom,
  LogEvent,
  RestRoom,
  RoomInfo,
  ServerFrame,
} from '../src/client/wire.ts'

/** The golden frames that the server's tests also use. */
const FRAMES = new URL('../../tests/fixtures/frames/', import.meta.url)

function golden(path: string): string {
  return readFileSync(new URL(`${path}.json`, FRAMES), 'utf8')
}

function heard<T extends ServerFrame['type']>(name: string): Extract<ServerFrame, { type: T }> {
  return parseFrame(golden(`server/${name}`)) as Extract<ServerFrame, { type: T }>
}

const ROOM = heard<'room_updated'>('room_updated.made').room as RoomInfo

/** Returns a timeline of the golden room whose log ends just before `event`. */
function justBefore(event: LogEvent): Timeline {
  const room = { ...ROOM, participants: [] } as unknown as RestRoom
  return openTimeline(room, 'epoch', event.seq - 1, event.seq - 1, event.seq - 1, [])
}

function folded(...names: string[]): Timeline {
  const events = names.map((name, at) => ({ ...(heard(name) as LogEvent), seq: 42 + at }))
  return events.reduce(fold, justBefore(events[0]!))
}

describe('the golden frames', () => {
  const names = readdirSync(new URL('server/', FRAMES)).map(file => file.replace('.json', ''))

  it.each(names)('%s is parsed', name => {
    const frame = parseFrame(golden(`server/${name}`))
    expect(frame?.type).toBe(name.split('.')[0])
  })

  it.each(
    names.filter(name => 'seq' in heard(name) && 'room_id' in heard(name) && name !== 'notification'),
  )('%s counts when it is folded', name => {
    const event = heard(name) as LogEvent
    expect(fold(justBefore(event), event)).toMatchObject({ head: event.seq, to: event.seq })
  })

  it('show a message, a reply, an edit and a deletion', () => {
    const sent = heard<'chat_message'>('chat_message').message
    expect(findMessage(folded('chat_message'), sent.id)).toEqual(sent)
    const { message } = heard<'message_updated'>('message_updated')
    expect(findMessage(folded('chat_message', 'message_updated'), sent.id)).toMatchObject({
      content: message.content,
      is_edited: true,
    })
    const gone = findMessage(folded('chat_message', 'message_deleted'), sent.id)
    expect(gone).toMatchObject({ is_deleted: true, content: '[Message deleted]', attachment: null })
    const { id, reply_to } = heard<'chat_message'>('chat_message.answer').message
    expect(findMessage(folded('chat_message.answer'), id)?.reply_to).toEqual(reply_to)
  })

  it('show reactions that are added and removed, each once', () => {
    const { message } = heard<'chat_message'>('chat_message.reactions')
    const at = (...events: LogEvent[]) => {
      const sent = { ...heard<'chat_message'>('chat_message'), seq: 42 }
      return findMessage(events.reduce(fold, fold(justBefore(sent), sent)), message.id)?.reactions
    }
    const added = { ...heard<'reaction'>('reaction'), seq: 43 }
    const removed = { ...heard<'reaction'>('reaction.removed'), seq: 44 }
    expect(at(added)).toEqual([{ emoji: '👍', count: 1, users: [2] }])
    expect(at(added, removed)).toEqual([])
    // A message that was read later contains what came before.
    const late = { ...heard<'chat_message'>('chat_message.reactions'), seq: 42 }
    const read = fold(justBefore(late), late)
    const folded = fold({ ...read, head: 45, to: 45 }, heard<'reaction'>('reaction') as LogEvent)
    expect(findMessage(folded, message.id)?.reactions).toEqual(message.reactions)
  })

  it('show what has been ticked, once', () => {
    const sent = { ...heard<'chat_message'>('chat_message.checklist'), seq: 42 }
    const id = sent.message.id
    const changed = { ...heard<'card_changed'>('card_changed'), message_id: id, seq: 48 }
    const at = (...events: LogEvent[]) => {
      const start = fold(justBefore(sent), sent)
      return findMessage(events.reduce(fold, { ...start, head: 47, to: 47 }), id)
    }
    expect(at()?.card?.items[0]).toMatchObject({ id: 'beds' })
    expect(at(changed)?.card).toEqual(changed.card)
    expect(at(changed)?.rev).toBe(48)
    const old = { ...changed, rev: sent.message.rev }
    expect(at(old)?.card).toEqual(sent.message.card)
  })

  it('count the replies in a thread, also after a deletion', () => {
    const { root_id } = heard<'chat_message'>('chat_message.reply').message.thread!
    const base = heard<'chat_message'>('chat_message')
    const root = { ...base, seq: 42, message: { ...base.message, id: root_id, rev: 42, thread: null } }
    const reply = { ...heard<'chat_message'>('chat_message.reply'), seq: 43 }
    const gone = { ...heard<'message_deleted'>('message_deleted.reply'), seq: 44 }
    const told = (...events: LogEvent[]) => events.reduce(fold, justBefore(root))
    expect(findMessage(told(root, reply), root_id)).toMatchObject({
      rev: 43,
      thread: { root_id, replies: 1 },
    })
    expect(findMessage(told(root, reply, reply), root_id)?.thread?.replies).toBe(1)
    expect(findMessage(told(root, reply, gone), root_id)?.thread).toEqual(
      heard<'message_deleted'>('message_deleted.reply').thread,
    )
  })

  it('update the participants and the name of a room', () => {
    const { user } = heard<'participant_joined'>('participant_joined').participant
    expect(folded('participant_joined').people.get(user.id)?.user).toEqual(user)
    expect(folded('participant_joined', 'participant_updated').people.get(user.id)).toMatchObject({
      is_admin: heard<'participant_updated'>('participant_updated').participant.is_admin,
    })
    expect(folded('participant_joined', 'participant_left').people.has(user.id)).toBe(false)
    expect(folded('room_updated').room.title).toBe(heard<'room_updated'>('room_updated').room.title)
    expect(folded('room_updated.archived').room.archived_at).not.toBe(null)
  })

  it('reorder the room list', () => {
    const frame = heard<'inbox'>('inbox') as InboxFrame
    const row = { id: frame.room_id, last_message_time: '2020-01-01T00:00:00Z' } as ListedRoom
    const { inbox, known } = withFrame(withRooms(EMPTY_INBOX, [row]), frame)
    expect(known).toBe(true)
    expect(inbox).toMatchObject({ total_unread: frame.total_unread })
    expect(inbox.rooms[0]).toMatchObject({
      unread_count: frame.unread_count,
      last_message_preview: frame.last_message_preview,
      last_message_sender: frame.last_message_sender,
    })
  })

  it('equal the frames that the client sends', () => {
    const room_id = ROOM.id
    const told = (name: string): unknown => JSON.parse(golden(`client/${name}`))
    const { message, reply_to, client_id } = told('chat_message.full') as Extract<
      ClientFrame,
      { type: 'chat_message' }
    >
    const { epoch } = told('subscribe.since') as { epoch: string }
    const { message_id } = told('read_receipt') as { message_id: string }
    const reacted = told('react.off') as { client_id: string }
    const frames: Record<string, ClientFrame> = {
      'chat_message.full': { type: 'chat_message', room_id, message, reply_to: reply_to!, client_id },
      'card.choice': { type: 'card', room_id, message_id, choice: '1', on: false, client_id },
      'chat_message.thread': {
        type: 'chat_message',
        room_id,
        message,
        thread_root: message_id,
        in_timeline: false,
        client_id,
      },
      'subscribe.since': { type: 'subscribe', room_id, since: 41, epoch },
      'typing.user_socket': { type: 'typing', room_id, is_typing: false },
      'read_receipt.user_socket': { type: 'read_receipt', room_id, message_id },
      'mark_room_read.user_socket': { type: 'mark_room_read', room_id },
      'react.off': {
        type: 'react',
        room_id,
        message_id,
        emoji: '❤️',
        on: false,
        client_id: reacted.client_id,
      },
      'ping.numbered': { type: 'ping', n: 7 },
      auth: { type: 'auth', token: 'header.claims.signature' },
      subscribe: { type: 'subscribe', room_id },
      unsubscribe: { type: 'unsubscribe', room_id },
    }
    for (const [name, frame] of Object.entries(frames)) expect(frame).toEqual(told(name))
  })
})
