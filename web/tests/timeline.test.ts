import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  atHead,
  ENTRIES_MAX,
  extendNewer,
  extendOlder,
  fold,
  openTimeline,
  RECENT_MESSAGES_MAX,
  type Timeline,
  trimToRecent,
} from '../src/client/timeline.ts'
import type { LogEvent, RestRoom } from '../src/client/wire.ts'
import { State } from './fake/state.mjs'

/** Users who join, leave and write. */
const PEOPLE = 4
/** Users who only react: more than a reaction lists. */
const REACTORS = 24
const EMOJI = ['👍', '❤️', '✅']

/** A room after a number of random steps; each step is a pair of random numbers. */
class World {
  state = new State()
  room
  /** Each frame of the room's log as it was sent. */
  live: LogEvent[] = []

  constructor() {
    this.state.clock = Date.UTC(2026, 10, 22)
    this.state.onFrame = (_room: unknown, frame: LogEvent) => {
      if (typeof frame.seq === 'number') this.live.push(structuredClone(frame))
    }
    for (let n = 0; n < PEOPLE + REACTORS; n++) this.state.addUser(`user${n}`, `User ${n}`)
    this.room = this.state.makeRoom({ room_type: 'group', name: 'start' }, 1, [2])
    for (let n = 1; n <= REACTORS; n++) this.state.join(this.room, PEOPLE + n, false)
  }

  step([kind, choice]: readonly [number, number]): void {
    const { state, room } = this
    state.clock = (state.clock ?? 0) + 60_000
    const messages = state.messagesOf(room)
    const message = messages[choice % Math.max(1, messages.length)]
    const user = 2 + (choice % (PEOPLE - 1))
    const part = room.parts.get(user)
    if (kind < 4)
      state
        .post(room, 1, { content: `text ${choice}`, reply_to: kind === 3 ? message?.id : null })
        .publish?.()
    else if (kind === 4 && message && !message.is_deleted) state.edit(message, `edit ${choice}`)
    else if (kind === 5 && message && !message.is_deleted)
      state.remove(message, choice % 2 ? 'author' : 'moderator')
    else if (kind === 6 && part && !part.left_at) state.leave(room, part)
    else if (kind === 6) state.join(room, user, false)
    else if (kind === 7) {
      room.facts.name = `name ${choice}`
      state.record(room, { type: 'room_updated', room: { ...room.facts } })
    } else if (kind === 8) state.record(room, { type: 'something_new', message_id: message?.id })
    else if (kind === 13) {
      const thread = { thread_root: message?.is_deleted ? null : message?.id, in_timeline: choice % 2 === 0 }
      state.post(room, 1, { content: `reply ${choice}`, ...thread }).publish?.()
    } else if (kind === 14) {
      const items = [1, 2].map(id => ({ id: String(id), text: `item ${id}`, done_by: null, done_at: null }))
      state.post(room, 1, { card: { kind: 'checklist', title: `list ${choice}`, items } }).publish?.()
    } else if (kind > 14 && message) state.tick(message, user, String(1 + (choice % 2)), choice % 3 > 0)
    else if (message && !message.is_deleted) {
      const reactor = PEOPLE + 1 + ((choice * 7) % REACTORS)
      state.react(message, reactor, EMOJI[choice % 3], choice % 4 > 0).publish?.()
    }
  }

  get head(): number {
    return this.room.log.length
  }

  events(from: number, to: number): LogEvent[] {
    return this.room.log
      .slice(from, to)
      .map((entry: object) => structuredClone(this.state.eventFrame(this.room, entry)))
  }

  snapshot(from: number): Timeline {
    const room = structuredClone(this.state.room(this.room, 1)) as unknown as RestRoom
    return openTimeline(room, 'e', this.head, from, this.head, this.events(from, this.head))
  }
}

/** What the invariant compares: everything except participant fields that only REST returns. */
function told(timeline: Timeline) {
  const people = [...timeline.people.values()].map(({ id, user, is_admin }) => ({
    id,
    user: user.id,
    is_admin,
  }))
  return { ...timeline, people: people.toSorted((a, b) => a.id - b.id) }
}

const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 16 }), fc.nat(50)), { maxLength: 60 })

describe('the invariant of the timeline', () => {
  it('folding events onto a snapshot equals a fresh snapshot', () => {
    fc.assert(
      fc.property(steps, steps, fc.nat(70), fc.boolean(), (before, after, cut, live) => {
        const world = new World()
        for (const step of before) world.step(step)
        const from = Math.min(cut, world.head)
        const start = world.snapshot(from)
        for (const step of after) world.step(step)
        const events = live ? world.live.slice(start.head) : world.events(start.head, world.head)
        const folded = events.reduce(fold, start)
        expect(told(folded)).toEqual(told(world.snapshot(from)))
      }),
      { numRuns: 300 },
    )
  })

  it('applies each event once, however often and late it arrives', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.nat(200)), (after, repeats) => {
        const world = new World()
        const start = world.snapshot(0)
        for (const step of after) world.step(step)
        const live = world.live.slice(start.head)
        const folded = live.reduce((timeline, event, at) => {
          const again = live[(repeats[at] ?? at) % (at + 1)]!
          return fold(fold(timeline, event), again)
        }, start)
        expect(told(folded)).toEqual(told(world.snapshot(0)))
      }),
    )
  })

  it('pages combine to the same timeline as one read', () => {
    fc.assert(
      fc.property(steps, fc.nat(60), fc.nat(60), (all, a, b) => {
        const world = new World()
        for (const step of all) world.step(step)
        const whole = world.snapshot(0)
        const [low, high] = [Math.min(a, b, world.head), Math.min(Math.max(a, b), world.head)]
        const middle: Timeline = { ...whole, from: low, to: low, entries: [] }
        const newer = extendNewer(
          extendNewer(middle, world.events(low, high), high),
          world.events(high, world.head),
          world.head,
        )
        expect(extendOlder(newer, world.events(0, low), 0)).toEqual(whole)
      }),
    )
  })
})

describe('pins', () => {
  it('follow the frames once, as of the revision of the message', () => {
    const world = new World()
    world.step([0, 1])
    const start = world.snapshot(0)
    const message = (timeline: Timeline) => {
      const entry = timeline.entries.at(-1)!
      return entry.kind === 'message' ? entry.message : null
    }
    const { id, seq } = message(start)!
    const pinned_at = '2026-11-30T12:00:00Z'
    const frame = { type: 'message_pinned', room_id: start.roomId, message_id: id, pinned_by: 2, pinned_at }
    const pinned = fold(start, { ...frame, seq: seq + 1, pinned: true } as LogEvent)
    expect(message(pinned)).toMatchObject({ pinned_at, pinned_by: 2, rev: seq + 1 })
    expect(fold(pinned, { ...frame, seq: seq + 1, pinned_at: null } as LogEvent)).toBe(pinned)
    const off = { ...frame, seq: seq + 2, pinned: false, pinned_at: null } as LogEvent
    expect(message(fold(pinned, off))).toMatchObject({ pinned_at: null, rev: seq + 2 })
    const deleted = {
      type: 'message_deleted',
      room_id: start.roomId,
      message_id: id,
      seq: seq + 2,
    } as LogEvent
    expect(message(fold(pinned, deleted))).toMatchObject({ pinned_at: null, is_deleted: true })
  })
})

describe('acknowledgements', () => {
  it('follow the frames once, and end with the message', () => {
    const world = new World()
    world.step([0, 1])
    const first = world.snapshot(0)
    const urgent = { ack_by: null, acks: [], ack_count: 0 }
    const entries = first.entries.map(entry =>
      entry.kind === 'message' ? { ...entry, message: { ...entry.message, urgent } } : entry,
    )
    const start = { ...first, entries } as unknown as Timeline
    const message = (timeline: Timeline) => {
      const entry = timeline.entries.at(-1)!
      return entry.kind === 'message' ? entry.message : null
    }
    const { id, seq } = message(start)!
    const ack = { user_id: 2, at: '2026-11-30T12:00:00Z' }
    const frame = { type: 'message_acknowledged', room_id: start.roomId, message_id: id, ...ack }
    const given = fold(start, { ...frame, seq: seq + 1 } as LogEvent)
    expect(message(given)).toMatchObject({ urgent: { acks: [ack], ack_count: 1 }, rev: seq + 1 })
    expect(fold(given, { ...frame, seq: seq + 1 } as LogEvent)).toBe(given)
    const plain = fold(first, { ...frame, seq: seq + 1 } as LogEvent)
    expect(message(plain)!.urgent).toBeFalsy()
    const deleted = { type: 'message_deleted', room_id: start.roomId, message_id: id, seq: seq + 2 }
    expect(message(fold(given, deleted as LogEvent))).toMatchObject({ urgent: null, is_deleted: true })
  })
})

describe('reactions', () => {
  it('fold to what a fresh snapshot shows, also beyond the users that are listed', () => {
    const changes = fc.array(fc.tuple(fc.nat(REACTORS - 1), fc.nat(9)), { minLength: 20, maxLength: 150 })
    fc.assert(
      fc.property(changes, fc.nat(150), (all, cut) => {
        const world = new World()
        world.step([0, 0])
        const [message] = world.state.messagesOf(world.room)
        let start = world.snapshot(0)
        for (const [at, [user, choice]] of all.entries()) {
          if (at === cut) start = world.snapshot(0)
          const emoji = EMOJI[choice % 3 === 2 ? 1 : 0]
          world.state.react(message, PEOPLE + 1 + user, emoji, choice < 7).publish?.()
        }
        const folded = world.live.reduce(fold, start)
        expect(told(folded)).toEqual(told(world.snapshot(0)))
      }),
    )
  })

  it('change nothing in a message that was read later, and nothing twice', () => {
    const world = new World()
    world.step([0, 0])
    const [message] = world.state.messagesOf(world.room)
    const early = { ...world.snapshot(0), entries: [] }
    world.state.react(message, 1, '👍', true).publish?.()
    const now = world.snapshot(0)
    // The page with the message was read after the reaction, which arrives afterwards.
    const mixed: Timeline = { ...early, entries: now.entries }
    expect(fold(mixed, world.live.at(-1)!).entries).toEqual(now.entries)
  })
})

describe('a timeline', () => {
  it('holds a bounded number of entries', () => {
    const world = new World()
    for (let n = 0; n < ENTRIES_MAX + 50; n++) world.step([0, n])
    const half = Math.floor(world.head / 2)
    const newest = world.snapshot(half)
    const grown = extendOlder(newest, world.events(0, half), 0)
    expect(grown.entries).toHaveLength(ENTRIES_MAX)
    expect(grown.from).toBe(0)
    expect(atHead(grown)).toBe(false)
  })

  it('drops old messages while the reader is at the end', () => {
    const world = new World()
    for (let n = 0; n < RECENT_MESSAGES_MAX; n++) world.step([0, n])
    const few = world.snapshot(0)
    expect(trimToRecent(few)).toBe(few)
    for (let n = 0; n < RECENT_MESSAGES_MAX; n++) world.step([0, n])
    for (let n = 0; n < RECENT_MESSAGES_MAX; n++) world.step([7, n])
    const near = trimToRecent(world.snapshot(0))
    expect(near.entries.filter(entry => entry.kind === 'message')).toHaveLength(RECENT_MESSAGES_MAX)
    expect(near).toEqual(world.snapshot(near.from))
  })

  it('counts live events, without showing them, while the reader is elsewhere', () => {
    const world = new World()
    for (let n = 0; n < 20; n++) world.step([0, n])
    const whole = world.snapshot(0)
    const past: Timeline = { ...whole, to: 10, entries: whole.entries.filter(entry => entry.seq <= 10) }
    world.step([0, 1])
    const after = fold(past, world.live.at(-1)!)
    expect(after.entries).toEqual(past.entries)
    expect(after.head).toBe(world.head)
    expect(after.to).toBe(10)
  })
})
