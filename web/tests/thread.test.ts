import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldThread, openThread, REPLIES_MAX } from '../src/client/thread.ts'
import { isUnclear, type ListedThread, type ThreadFrame, threadAfter } from '../src/client/thread-list.ts'
import { openTimeline, type Timeline } from '../src/client/timeline.ts'
import type { LogEvent, Message, RestMessage, RestRoom } from '../src/client/wire.ts'
import { State } from './fake/state.mjs'

/** A room in which two users write, some of it in threads. */
class World {
  state = new State()
  room
  root: { id: string; is_deleted: boolean }
  live: LogEvent[] = []

  constructor() {
    this.state.clock = Date.UTC(2026, 10, 22)
    this.state.onFrame = (_room: unknown, frame: LogEvent) => {
      if (typeof frame.seq === 'number') this.live.push(structuredClone(frame))
    }
    for (const name of ['alice', 'bob']) this.state.addUser(name, name)
    this.room = this.state.makeRoom({ room_type: 'group', name: 'room' }, 1, [2])
    this.root = this.post('root')
  }

  post(content: string, more: object = {}, sender = 1) {
    this.state.clock = (this.state.clock ?? 0) + 60_000
    const { message, publish } = this.state.post(this.room, sender, { content, ...more })
    publish?.()
    return message
  }

  reply(content: string, in_timeline = false, sender = 1) {
    return this.post(content, { thread_root: this.root.id, in_timeline }, sender)
  }

  step([kind, choice]: readonly [number, number]): void {
    const { state, room, root } = this
    const messages = state.messagesOf(room)
    const message = messages[choice % messages.length]
    if (kind < 3) this.reply(`reply ${choice}`, choice % 2 === 0, 1 + (choice % 2))
    else if (kind === 3) this.post(`elsewhere ${choice}`)
    else if (kind === 4) this.post(`other thread ${choice}`, { thread_root: message.id })
    else if (kind === 5 && !message.is_deleted) state.edit(message, `edit ${choice}`)
    else if (kind === 6 && !message.is_deleted && (message !== root || choice % 5 === 0))
      state.remove(message)
    else if (!message.is_deleted) state.react(message, 2, '👍', choice % 3 > 0).publish?.()
  }

  get timeline(): Timeline {
    const room = structuredClone(this.state.room(this.room, 1)) as unknown as RestRoom
    return openTimeline(room, 'e', this.room.log.length, 0, this.room.log.length, [])
  }

  /** The thread as it is read by REST, which lists no deleted messages. */
  snapshot(): Timeline {
    const { id } = this.root
    const messages = this.state
      .messagesOf(this.room)
      .filter((one: Message) => (one.id === id || one.thread?.root_id === id) && !one.is_deleted)
    return openThread(
      this.timeline,
      structuredClone(messages.map((one: Message) => this.state.messageFrame(one))),
    )
  }
}

/** The messages that are not deleted. */
function live({ entries }: Timeline) {
  return entries.filter(entry => entry.kind === 'message' && !entry.message.is_deleted)
}

const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.nat(50)), { maxLength: 50 })

describe('a thread', () => {
  it('folds to what a fresh read shows', () => {
    fc.assert(
      fc.property(steps, steps, (before, after) => {
        const world = new World()
        for (const step of before) world.step(step)
        const start = world.snapshot()
        for (const step of after) world.step(step)
        // Whatever has come before the read is applied again, as frames do that arrive during it.
        const folded = world.live.reduce((thread, event) => foldThread(thread, event, world.root.id), start)
        expect(live(folded)).toEqual(live(world.snapshot()))
      }),
      { numRuns: 200 },
    )
  })

  it('keeps its root and a bounded number of replies', () => {
    const world = new World()
    let thread = world.snapshot()
    for (let n = 0; n < REPLIES_MAX + 5; n++) {
      world.reply(`reply ${n}`)
      thread = foldThread(thread, world.live.at(-1)!, world.root.id)
    }
    expect(thread.entries).toHaveLength(REPLIES_MAX + 1)
    expect(thread.entries[0]).toMatchObject({ kind: 'message', message: { id: world.root.id } })
    expect(thread.entries.at(-1)).toMatchObject({ message: { content: `reply ${REPLIES_MAX + 4}` } })
  })
})

describe('a listed thread', () => {
  const world = new World()
  const me = 1
  const listed: ListedThread = {
    root: {
      id: world.root.id,
      room: world.room.facts.id,
      rev: 10,
      thread: { root_id: world.root.id, replies: 1, last_reply_at: '2026-11-22T00:00:00Z', unread: 0 },
    } as unknown as RestMessage,
    unread: 0,
  }
  const reply = (seq: number, sender: number) =>
    ({
      type: 'chat_message',
      room_id: listed.root.room,
      seq,
      message: {
        id: `reply ${seq}`,
        sender: { id: sender },
        created_at: '2026-11-23T00:00:00Z',
        thread: { root_id: listed.root.id, replies: 0, last_reply_at: null },
      } as unknown as Message,
    }) as ThreadFrame
  const read = (up_to: number, user_id = me) =>
    ({
      type: 'read_receipt',
      room_id: listed.root.room,
      message_id: null,
      user_id,
      read_at: null,
      up_to,
    }) as const

  it(`counts others' replies once, until they are read`, () => {
    const told = [reply(11, 2), reply(11, 2), reply(12, me)].reduce(
      (thread, frame) => threadAfter(thread, frame, me),
      listed,
    )
    expect(told).toMatchObject({ unread: 1, root: { rev: 12, thread: { replies: 3 } } })
    expect(threadAfter(told, read(12, 2), me)).toBe(told)
    expect(threadAfter(told, read(12), me).unread).toBe(0)
    expect(threadAfter(told, reply(9, 2), me)).toBe(told)
  })

  it('is read again when a frame does not tell enough', () => {
    const told = [reply(11, 2), reply(12, 2)].reduce(
      (thread, frame) => threadAfter(thread, frame, me),
      listed,
    )
    expect(isUnclear(told, read(11), me)).toBe(true)
    expect(isUnclear(told, read(12), me)).toBe(false)
    const gone = { type: 'message_deleted', room_id: 'r', seq: 13, message_id: 'reply 12' } as const
    const thread = { root_id: listed.root.id, replies: 1, last_reply_at: null }
    expect(isUnclear(told, { ...gone, thread }, me)).toBe(true)
    expect(isUnclear(told, gone, me)).toBe(false)
  })
})
