import { describe, expect, it } from 'vitest'
import type { OutboxEntry } from '../src/client/outbox.ts'
import type { Entry, Timeline } from '../src/client/timeline.ts'
import type { Message, Participant, RoomInfo } from '../src/client/wire.ts'
import { rowsOf } from '../src/elements/timeline/rows.ts'

const START = Date.parse('2026-11-22T10:00:00Z')
const ME = 1

function said(seq: number, sender: number, minute: number): Entry {
  const message = {
    id: `m${seq}`,
    seq,
    rev: seq,
    sender: { id: sender, username: `u${sender}`, full_name: '' },
    content: `text ${seq}`,
    created_at: new Date(START + minute * 60_000).toISOString(),
    is_deleted: false,
    client_id: null,
  } as Message
  return { kind: 'message', seq, message }
}

function came(kind: 'joined' | 'left', seq: number): Entry {
  return { kind, seq, participant: {} as Participant }
}

const MADE: Entry = { kind: 'changed', seq: 1, room: {} as RoomInfo }

function timelineOf(...entries: Entry[]): Timeline {
  return { entries, to: 100, head: 100, room: { room_type: 'group' } } as unknown as Timeline
}

const kinds = (timeline: Timeline, newAfter: number | null = null) =>
  rowsOf(timeline, [], new Map(), ME, newAfter).map(row => row.kind)

describe('rows', () => {
  it('group the messages of one sender within five minutes', () => {
    const timeline = timelineOf(said(1, 2, 0), said(2, 2, 4), said(3, 2, 10), said(4, 3, 11))
    const rows = rowsOf(timeline, [], new Map(), ME, null).filter(row => row.kind === 'message')
    expect(rows.map(row => [row.first, row.last])).toEqual([
      [true, false],
      [false, true],
      [true, true],
      [true, true],
    ])
  })

  it("have different keys, whatever others send as `client_id`; a user's own keeps the key that it had unsent", () => {
    const copied = [said(1, ME, 0), said(2, 2, 1)].map(entry =>
      entry.kind === 'message' ? { ...entry, message: { ...entry.message, client_id: 'unique' } } : entry,
    )
    const timeline = timelineOf(...copied)
    const keys = rowsOf(timeline, [], new Map(), ME, null).flatMap(row =>
      row.kind === 'message' ? [row.key] : [],
    )
    expect(keys).toEqual(['unique', 'm2'])
  })

  it('start with a separator for each day', () => {
    expect(kinds(timelineOf(said(1, 2, 0), said(2, 2, 2 * 24 * 60)))).toEqual([
      'day',
      'message',
      'day',
      'message',
    ])
  })

  it('contain the line "New" before the first new message of another user', () => {
    const timeline = timelineOf(said(1, 2, 0), said(2, ME, 1), said(3, 2, 2))
    expect(kinds(timeline, 1)).toEqual(['day', 'message', 'message', 'new', 'message'])
    expect(kinds(timeline, 3)).toEqual(['day', 'message', 'message', 'message'])
  })

  it('show the creation of a room, with its first participants, in one line', () => {
    const timeline = timelineOf(MADE, came('joined', 2), came('joined', 3), said(4, 2, 0), came('joined', 5))
    const system = rowsOf(timeline, [], new Map(), ME, null).filter(row => row.kind === 'system')
    expect(system.map(row => row.entries.map(entry => entry.seq))).toEqual([[1], [5]])
  })

  it('show no membership changes in a direct room', () => {
    const group = timelineOf(MADE, came('joined', 2), came('left', 3), said(4, 2, 0))
    const direct = { ...group, room: { ...group.room, room_type: 'direct' as const } }
    expect(kinds(group)).toEqual(['system', 'day', 'message'])
    expect(kinds(direct)).toEqual(['day', 'message'])
  })

  it("assign each reader to the last of the user's messages that they have read", () => {
    const timeline = timelineOf(said(1, ME, 0), said(2, ME, 1), said(3, ME, 2))
    const marks = new Map([
      [ME, 3],
      [2, 2],
      [3, 1],
    ])
    const rows = rowsOf(timeline, [], marks, ME, null).filter(row => row.kind === 'message')
    expect(rows.map(row => row.readers)).toEqual(['3', '2', ''])
    expect(rows.map(row => row.read)).toEqual([true, true, false])
  })

  it('end with failed messages, whatever is sent afterwards, and never below an earlier day', () => {
    const entry = (content: string, state: 'failed' | 'sending', minute: number) =>
      ({ client_id: content, content, state, at_ms: START + minute * 60_000, file: null }) as OutboxEntry
    const pending = [entry('refused', 'failed', -2 * 24 * 60), entry('later', 'sending', 5)]
    const rows = rowsOf(timelineOf(said(1, ME, 0)), pending, new Map(), ME, null)
    expect(rows.map(row => (row.kind === 'message' ? row.message.content : row.kind))).toEqual([
      'day',
      'text 1',
      'later',
      'refused',
    ])
  })
})
