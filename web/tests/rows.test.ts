import { describe, expect, it } from 'vitest'
import type { OutboxEntry } from '../src/client/outbox.ts'
import type { Entry, Timeline } from '../src/client/timeline.ts'
import type { Message, Participant, RoomFacts } from '../src/client/wire.ts'
import { rowsOf } from '../src/elements/rows.ts'

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

const MADE: Entry = { kind: 'changed', seq: 1, room: {} as RoomFacts }

function timelineOf(...entries: Entry[]): Timeline {
  return { entries, to: 100, head: 100, room: { room_type: 'group' } } as unknown as Timeline
}

const kinds = (timeline: Timeline, newAfter: number | null = null) =>
  rowsOf(timeline, [], new Map(), ME, newAfter).map(row => row.kind)

describe('rows', () => {
  it('make a group of what one author writes within five minutes', () => {
    const timeline = timelineOf(said(1, 2, 0), said(2, 2, 4), said(3, 2, 10), said(4, 3, 11))
    const rows = rowsOf(timeline, [], new Map(), ME, null).filter(row => row.kind === 'message')
    expect(rows.map(row => [row.first, row.last])).toEqual([
      [true, false],
      [false, true],
      [true, true],
      [true, true],
    ])
  })

  it('begin a day where one begins', () => {
    expect(kinds(timelineOf(said(1, 2, 0), said(2, 2, 2 * 24 * 60)))).toEqual([
      'day',
      'message',
      'day',
      'message',
    ])
  })

  it('draw the line before the first message of another that is new', () => {
    const timeline = timelineOf(said(1, 2, 0), said(2, ME, 1), said(3, 2, 2))
    expect(kinds(timeline, 1)).toEqual(['day', 'message', 'message', 'new', 'message'])
    expect(kinds(timeline, 3)).toEqual(['day', 'message', 'message', 'message'])
  })

  it('tell of the opening of a room in one line, its first people are part of it', () => {
    const timeline = timelineOf(MADE, came('joined', 2), came('joined', 3), said(4, 2, 0), came('joined', 5))
    const system = rowsOf(timeline, [], new Map(), ME, null).filter(row => row.kind === 'system')
    expect(system.map(row => row.entries.map(entry => entry.seq))).toEqual([[1], [5]])
  })

  it('tell of nobody coming or going where two talk', () => {
    const group = timelineOf(MADE, came('joined', 2), came('left', 3), said(4, 2, 0))
    const direct = { ...group, room: { ...group.room, room_type: 'direct' as const } }
    expect(kinds(group)).toEqual(['system', 'day', 'message'])
    expect(kinds(direct)).toEqual(['day', 'message'])
  })

  it('put each reader at the last own message that they have read', () => {
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

  it('have what was not sent last, whatever is sent after it, and under no earlier day', () => {
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
