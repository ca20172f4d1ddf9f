import { describe, expect, it } from 'vitest'
import type { Client } from '../src/client/client.ts'
import { Pins } from '../src/client/pins.ts'
import type { Room } from '../src/client/room.ts'
import { accessOf, RoomAccess } from '../src/client/room-access.ts'

const ME = 1
const START = Date.parse('2026-11-30T12:00:00Z')

/** A client that answers each call of its API with the next of `answers`. */
class StubClient extends EventTarget {
  me = ME
  answers: unknown[] = []
  calls: string[] = []
  api = {
    GET: async (path: string) => {
      this.calls.push(path)
      const answer = this.answers.shift()
      if (answer instanceof Error) throw answer
      return { data: answer }
    },
  }

  frame(frame: Record<string, unknown>): void {
    this.dispatchEvent(new CustomEvent('frame', { detail: { room_id: 'r', ...frame } }))
  }
}

/** Lets what has been started end. */
const settled = () => new Promise(resolve => setTimeout(resolve, 0))

function setUp(more: Record<string, unknown> = {}) {
  const client = new StubClient()
  const room = {
    id: 'r',
    subscription: { capabilities: ['post', 'react'] },
    view: { timeline: { room: { slow_mode_seconds: 30 } } },
    self: { is_admin: false },
    ...more,
  } as unknown as Room
  const access = new RoomAccess(client as unknown as Client, room, () => START)
  return { client, room, access }
}

const ownMessage = (created_at: string, sender = ME) => ({
  type: 'chat_message',
  message: { sender: { id: sender }, created_at },
})

describe('the access to a room', () => {
  it('is what the subscription says', () => {
    const { client, room, access } = setUp()
    expect(access.allows('post')).toBe(true)
    expect(access.allows('pin')).toBe(false)
    client.frame({ type: 'subscribed', capabilities: ['pin'], next_post_at: null })
    expect(access.allows('pin')).toBe(true)
    expect(accessOf(room)).toBe(access)
    access.stop()
    expect(accessOf(room)).toBeUndefined()
  })

  it('is shared by all who show the room, until the last of them stops', () => {
    const { client, room, access } = setUp()
    expect(RoomAccess.of(client as unknown as Client, room)).toBe(access)
    access.stop()
    client.frame({ type: 'subscribed', capabilities: ['pin'] })
    expect(accessOf(room)?.allows('pin')).toBe(true)
    access.stop()
    expect(accessOf(room)).toBeUndefined()
  })

  it('is not known on an older server', () => {
    const { access } = setUp({ subscription: { seq: 1 } })
    expect(access.allows('post')).toBeUndefined()
  })

  it("is asked for again when a setting or the user's role changes", async () => {
    const { client, access } = setUp()
    client.answers = [{ capabilities: ['react'], next_post_at: null }, new Error('offline')]
    client.frame({ type: 'room_updated' })
    await settled()
    expect(access.allows('post')).toBe(false)
    client.frame({ type: 'participant_updated', participant: { user: { id: 2 } } })
    await settled()
    expect(client.calls).toHaveLength(1)
    client.frame({ type: 'participant_updated', participant: { user: { id: ME } } })
    await settled()
    expect(client.calls).toHaveLength(2)
    expect(access.allows('react')).toBe(true)
  })

  it('begins the time of slow mode with each message of the user', () => {
    const { client, access } = setUp()
    client.frame(ownMessage('2026-11-30T12:00:00Z', 2))
    expect(access.nextPostAt_ms).toBe(0)
    client.frame(ownMessage('2026-11-30T11:59:50Z'))
    expect(access.nextPostAt_ms).toBe(START + 20_000)
    client.frame({ type: 'error', code: 'rate_limited', retry_after: 12.5 })
    expect(access.nextPostAt_ms).toBe(START + 12_500)
  })

  it('has nobody wait longer than slow mode does, whatever the clock of the device', () => {
    const { client, access } = setUp()
    client.frame({ type: 'subscribed', capabilities: [], next_post_at: '2026-11-30T15:00:00Z' })
    expect(access.nextPostAt_ms).toBe(START + 30_000)
    client.frame(ownMessage('2026-11-30T13:00:00Z'))
    expect(access.nextPostAt_ms).toBe(START + 30_000)
  })

  it('has no slow mode for admins', () => {
    const { client, access } = setUp({ self: { is_admin: true } })
    client.frame(ownMessage('2026-11-30T12:00:00Z'))
    expect(access.nextPostAt_ms).toBe(0)
  })
})

describe('the pins of a room', () => {
  const message = (id: string, content = id) => ({ id, content })
  const ids = (pins: Pins) => pins.messages.map(one => one.id)

  async function opened() {
    const client = new StubClient()
    client.answers = [{ results: [message('b'), message('a')] }]
    const pins = new Pins(client as unknown as Client, 'r')
    await settled()
    return { client, pins }
  }

  it('are read again when one is added or taken off, and on each subscription', async () => {
    const { client, pins } = await opened()
    expect(ids(pins)).toEqual(['b', 'a'])
    client.answers = [{ results: [message('c')] }, { results: [] }]
    client.frame({ type: 'message_pinned', message_id: 'c', pinned: true })
    client.frame({ type: 'message_pinned', message_id: 'x', pinned: true, room_id: 'other' })
    await settled()
    expect(ids(pins)).toEqual(['c'])
    client.frame({ type: 'subscribed' })
    await settled()
    expect(ids(pins)).toEqual([])
    expect(client.calls).toHaveLength(3)
  })

  it('are read once more if that changes while they are read', async () => {
    const { client, pins } = await opened()
    client.answers = [{ results: [message('old')] }, { results: [message('new')] }]
    for (const id of ['1', '2', '3']) client.frame({ type: 'message_pinned', message_id: id })
    await settled()
    expect(ids(pins)).toEqual(['new'])
    expect(client.calls).toHaveLength(3)
  })

  it('follow edits and deletions', async () => {
    const { client, pins } = await opened()
    client.frame({ type: 'message_updated', message: message('a', 'changed') })
    client.frame({ type: 'message_deleted', message_id: 'b' })
    expect(pins.messages).toEqual([message('a', 'changed')])
  })

  it('stay as they are without an answer, and after the view is gone', async () => {
    const { client, pins } = await opened()
    client.answers = [new Error('offline')]
    client.frame({ type: 'message_pinned', message_id: 'c' })
    await settled()
    expect(ids(pins)).toEqual(['b', 'a'])
    pins.stop()
    client.frame({ type: 'message_deleted', message_id: 'b' })
    expect(ids(pins)).toEqual(['b', 'a'])
  })
})
