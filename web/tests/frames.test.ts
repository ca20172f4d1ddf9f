import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseFrame } from '../src/client/frame.ts'
import { EMPTY_INBOX, withFrame, withRooms } from '../src/client/inbox.ts'
import { fold, messageOf, openTimeline, type Timeline } from '../src/client/timeline.ts'
import type {
  ClientFrame,
  InboxFrame,
  ListRoom,
  LogEvent,
  Room,
  RoomFacts,
  ServerFrame,
} from '../src/client/wire.ts'

/** The frames that the server's own tests hold it to. */
const FRAMES = new URL('../../tests/fixtures/frames/', import.meta.url)

function golden(path: string): string {
  return readFileSync(new URL(`${path}.json`, FRAMES), 'utf8')
}

function heard<T extends ServerFrame['type']>(name: string): Extract<ServerFrame, { type: T }> {
  return parseFrame(golden(`server/${name}`)) as Extract<ServerFrame, { type: T }>
}

const ROOM = heard<'room_updated'>('room_updated.made').room as RoomFacts

/** A timeline of the golden room, whose log ends just before `event`. */
function before(event: LogEvent): Timeline {
  const room = { ...ROOM, participants: [] } as unknown as Room
  return openTimeline(room, 'epoch', event.seq - 1, event.seq - 1, event.seq - 1, [])
}

function folded(...names: string[]): Timeline {
  const events = names.map((name, at) => ({ ...(heard(name) as LogEvent), seq: 42 + at }))
  return events.reduce(fold, before(events[0]!))
}

describe('the golden frames', () => {
  const names = readdirSync(new URL('server/', FRAMES)).map(file => file.replace('.json', ''))

  it.each(names)('%s is understood', name => {
    const frame = parseFrame(golden(`server/${name}`))
    expect(frame?.type).toBe(name.split('.')[0])
  })

  it.each(
    names.filter(name => 'seq' in heard(name) && 'room_id' in heard(name)),
  )('%s counts when it is folded', name => {
    const event = heard(name) as LogEvent
    expect(fold(before(event), event)).toMatchObject({ head: event.seq, to: event.seq })
  })

  it('show a message, its answer, its edit and its deletion', () => {
    const sent = heard<'chat_message'>('chat_message').message
    expect(messageOf(folded('chat_message'), sent.id)).toEqual(sent)
    const { message } = heard<'message_updated'>('message_updated')
    expect(messageOf(folded('chat_message', 'message_updated'), sent.id)).toMatchObject({
      content: message.content,
      is_edited: true,
    })
    const gone = messageOf(folded('chat_message', 'message_deleted'), sent.id)
    expect(gone).toMatchObject({ is_deleted: true, content: '[Message deleted]', attachment: null })
    const { id, reply_to } = heard<'chat_message'>('chat_message.answer').message
    expect(messageOf(folded('chat_message.answer'), id)?.reply_to).toEqual(reply_to)
  })

  it('tell who is in the room and what it is called', () => {
    const { user } = heard<'participant_joined'>('participant_joined').participant
    expect(folded('participant_joined').people.get(user.id)?.user).toEqual(user)
    expect(folded('participant_joined', 'participant_updated').people.get(user.id)).toMatchObject({
      is_admin: heard<'participant_updated'>('participant_updated').participant.is_admin,
    })
    expect(folded('participant_joined', 'participant_left').people.has(user.id)).toBe(false)
    expect(folded('room_updated').room.title).toBe(heard<'room_updated'>('room_updated').room.title)
    expect(folded('room_updated.archived').room.archived_at).not.toBe(null)
  })

  it('move the row of a room in the list', () => {
    const frame = heard<'inbox'>('inbox') as InboxFrame
    const row = { id: frame.room_id, last_message_time: '2020-01-01T00:00:00Z' } as ListRoom
    const { inbox, known } = withFrame(withRooms(EMPTY_INBOX, [row]), frame)
    expect(known).toBe(true)
    expect(inbox).toMatchObject({ total_unread: frame.total_unread })
    expect(inbox.rooms[0]).toMatchObject({
      unread_count: frame.unread_count,
      last_message_preview: frame.last_message_preview,
      last_message_sender: frame.last_message_sender,
    })
  })

  it('are what this client says, too', () => {
    const room_id = ROOM.id
    const told = (name: string): unknown => JSON.parse(golden(`client/${name}`))
    const { message, reply_to, client_id } = told('chat_message.full') as Extract<
      ClientFrame,
      { type: 'chat_message' }
    >
    const { epoch } = told('subscribe.since') as { epoch: string }
    const { message_id } = told('read_receipt') as { message_id: string }
    const frames: Record<string, ClientFrame> = {
      'chat_message.full': { type: 'chat_message', room_id, message, reply_to: reply_to!, client_id },
      'subscribe.since': { type: 'subscribe', room_id, since: 41, epoch },
      'typing.user_socket': { type: 'typing', room_id, is_typing: false },
      'read_receipt.user_socket': { type: 'read_receipt', room_id, message_id },
      'mark_room_read.user_socket': { type: 'mark_room_read', room_id },
      'ping.numbered': { type: 'ping', n: 7 },
      auth: { type: 'auth', token: 'header.claims.signature' },
      subscribe: { type: 'subscribe', room_id },
      unsubscribe: { type: 'unsubscribe', room_id },
    }
    for (const [name, frame] of Object.entries(frames)) expect(frame).toEqual(told(name))
  })
})
