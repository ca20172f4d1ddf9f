import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  atHead,
  ENTRIES_MAX,
  extendNewer,
  extendOlder,
  fold,
  NEAR_END_MAX,
  nearEnd,
  openTimeline,
  type Timeline,
} from '../src/client/timeline.ts'
import type { LogEvent, Room } from '../src/client/wire.ts'
import { State } from './fake/state.mjs'

const PEOPLE = 4

/** A room in which `steps` have happened; each step is a pair of numbers that chance gives. */
class World {
  state = new State()
  room
  /** The room and its whole log as they were told at each `seq`. */
  live: LogEvent[] = []

  constructor() {
    this.state.clock = Date.UTC(2026, 10, 22)
    this.state.onFrame = (_room: unknown, frame: LogEvent) => {
      if (typeof frame.seq === 'number') this.live.push(structuredClone(frame))
    }
    for (let n = 0; n < PEOPLE; n++) this.state.addUser(`user${n}`, `User ${n}`)
    this.room = this.state.makeRoom({ room_type: 'group', name: 'start' }, 1, [2])
  }

  step([kind, choice]: readonly [number, number]): void {
    const { state, room } = this
    state.clock = (state.clock ?? 0) + 60_000
    const messages = state.messagesOf(room)
    const message = messages[choice % Math.max(1, messages.length)]
    const user = 2 + (choice % (PEOPLE - 1))
    const part = room.parts.get(user)
    if (kind < 4)
      state.post(room, 1, { content: `text ${choice}`, reply_to: kind === 3 ? message?.id : null }).tell?.()
    else if (kind === 4 && message && !message.is_deleted) state.edit(message, `edit ${choice}`)
    else if (kind === 5 && message && !message.is_deleted)
      state.remove(message, choice % 2 ? 'author' : 'moderator')
    else if (kind === 6 && part && !part.left_at) state.leave(room, part)
    else if (kind === 6) state.join(room, user, false)
    else if (kind === 7) {
      room.facts.name = `name ${choice}`
      state.record(room, { type: 'room_updated', room: { ...room.facts } })
    } else state.record(room, { type: 'reaction', emoji: '+1' })
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
    const room = structuredClone(this.state.room(this.room, 1)) as unknown as Room
    return openTimeline(room, 'e', this.head, from, this.head, this.events(from, this.head))
  }
}

/** What the law compares: everything but fields of people that only REST fills. */
function told(timeline: Timeline) {
  const people = [...timeline.people.values()].map(({ id, user, is_admin }) => ({
    id,
    user: user.id,
    is_admin,
  }))
  return { ...timeline, people: people.toSorted((a, b) => a.id - b.id) }
}

const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.nat(50)), { maxLength: 60 })

describe('the law of the timeline', () => {
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

  it('takes each event once, however often and late it comes', () => {
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

  it('a stretch put together from pages equals one read whole', () => {
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

describe('a timeline', () => {
  it('holds a bounded number of entries and says so', () => {
    const world = new World()
    for (let n = 0; n < ENTRIES_MAX + 50; n++) world.step([0, n])
    const half = Math.floor(world.head / 2)
    const newest = world.snapshot(half)
    const grown = extendOlder(newest, world.events(0, half), 0)
    expect(grown.entries).toHaveLength(ENTRIES_MAX)
    expect(grown.from).toBe(0)
    expect(atHead(grown)).toBe(false)
  })

  it('lets go of what is far above, in messages, once somebody looks at the end', () => {
    const world = new World()
    for (let n = 0; n < NEAR_END_MAX; n++) world.step([0, n])
    const few = world.snapshot(0)
    expect(nearEnd(few)).toBe(few)
    for (let n = 0; n < NEAR_END_MAX; n++) world.step([0, n])
    for (let n = 0; n < NEAR_END_MAX; n++) world.step([7, n])
    const near = nearEnd(world.snapshot(0))
    expect(near.entries.filter(entry => entry.kind === 'message')).toHaveLength(NEAR_END_MAX)
    expect(near).toEqual(world.snapshot(near.from))
  })

  it('does not show what comes live while it looks at the past, and counts it', () => {
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
