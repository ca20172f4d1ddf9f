import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import WebSocketOf from 'ws'
import { Client } from '../src/client/client.ts'
import { memoryStore, NODE_PORTS } from '../src/client/node-ports.ts'
import type { OutboxStore } from '../src/client/outbox.ts'
import { isMine, react, readOwn } from '../src/client/reactions.ts'
import type { Room } from '../src/client/room.ts'
import { FakeServer } from './fake/server.mjs'
import { tokenFor } from './fake/tokens.mjs'

let server: FakeServer
let roomId: string
const clients: Client[] = []

beforeEach(async () => {
  server = await new FakeServer().listen()
  server.state.addUser('alice', 'Alice')
  server.state.addUser('bob', 'Bob')
  roomId = server.state.makeRoom({ room_type: 'group', name: 'Site' }, 1, [2]).facts.id
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.stop()
  await server.stop()
})

function connect(
  user: number,
  store: OutboxStore = memoryStore(),
  token = () => tokenFor(user),
  fetchOf = NODE_PORTS.fetch,
): Client {
  const client = new Client(server.url, user, token, {
    ...NODE_PORTS,
    fetch: fetchOf,
    WebSocket: WebSocketOf as unknown as typeof WebSocket,
    store: async () => store,
    random: () => 0,
  })
  clients.push(client)
  client.start()
  return client
}

async function until(claim: () => boolean, target: EventTarget): Promise<void> {
  while (!claim()) await new Promise(done => target.addEventListener('change', done, { once: true }))
}

async function enter(client: Client): Promise<Room> {
  const room = client.room(roomId)
  room.open()
  await until(() => room.view.timeline !== null, room)
  return room
}

const texts = (room: Room) =>
  room.view.timeline!.entries.flatMap(entry => (entry.kind === 'message' ? [entry.message.content] : []))

const says = (user: number, content: string) =>
  server.state.post(server.state.rooms.get(roomId), user, { content }).publish?.()

describe('a client', () => {
  it('keeps the frames that arrive while the list is loaded', async () => {
    let isRead = () => {}
    let letThrough = () => {}
    const read = new Promise<void>(done => (isRead = done))
    const released = new Promise<void>(done => (letThrough = done))
    const slow: typeof fetch = async (...args) => {
      const answer = await fetch(...args)
      if (new URL(answer.url).pathname !== '/api/chat/rooms/') return answer
      isRead()
      await released
      return answer
    }
    const alice = await enter(connect(1))
    const bob = connect(2, memoryStore(), () => tokenFor(2), slow)
    await read
    alice.send('meanwhile', null, [])
    await until(() => bob.inbox.total_unread === 1, bob)
    letThrough()
    await until(() => bob.inbox.loaded, bob)
    expect(bob.inbox.total_unread).toBe(1)
    expect(bob.inbox.rooms.map(room => room.unread_count)).toEqual([1])
  })

  it('sends a message that both users see exactly once', async () => {
    const [alice, bob] = [connect(1), connect(2)]
    const [a, b] = [await enter(alice), await enter(bob)]
    a.send('hi', null, [])
    await until(() => texts(b).includes('hi'), b)
    await until(() => texts(a).includes('hi') && a.view.pending.length === 0, a)
    expect(texts(a)).toEqual(['hi'])
    await until(() => bob.inbox.total_unread === 1, bob)
    b.markRead(b.view.timeline!.entries.flatMap(e => (e.kind === 'message' ? [e.message] : [])).at(-1)!)
    await until(() => bob.inbox.total_unread === 0, bob)
    await until(() => a.view.marks.get(2) === b.view.timeline!.head, a)
  })

  it('sends one receipt for a burst of read messages, and one for the last of them', async () => {
    const bob = connect(2)
    const room = await enter(bob)
    for (let n = 0; n < 30; n++) says(1, String(n))
    await until(() => texts(room).length === 30, room)
    const sent = vi.spyOn(bob, 'send')
    for (const entry of room.view.timeline!.entries)
      if (entry.kind === 'message') room.markRead(entry.message)
    await until(() => room.view.marks.get(2) === room.view.timeline!.head, room)
    expect(sent.mock.calls.filter(([frame]) => frame.type === 'read_receipt')).toHaveLength(2)
  })

  it('sends no typing signal before it is subscribed, because the server would refuse it', async () => {
    const alice = connect(1)
    await until(() => alice.state === 'open', alice)
    const sent = vi.spyOn(alice, 'send')
    const room = alice.room(roomId)
    room.open()
    room.setTyping(true)
    const types = () => sent.mock.calls.map(([frame]) => frame.type)
    expect(types()).toEqual(['subscribe'])
    await until(() => room.view.timeline !== null, room)
    room.setTyping(true)
    expect(types()).toEqual(['subscribe', 'typing'])
  })

  it('reconnects without missing or duplicate messages', async () => {
    const room = await enter(connect(1))
    says(2, 'before')
    await until(() => texts(room).includes('before'), room)
    server.cut()
    says(2, 'meanwhile')
    says(2, 'and more')
    await until(() => texts(room).includes('and more'), room)
    expect(texts(room)).toEqual(['before', 'meanwhile', 'and more'])
  })

  it('fills a gap by REST if a frame is lost', async () => {
    const room = await enter(connect(1))
    server.tamper = frame => (frame.message?.content === 'lost' ? null : frame)
    says(2, 'lost')
    says(2, 'seen')
    says(2, 'after')
    await until(() => texts(room).length === 3, room)
    expect(texts(room)).toEqual(['lost', 'seen', 'after'])
  })

  it('loads the room again after a reset', async () => {
    const room = await enter(connect(1))
    says(2, 'old')
    await until(() => texts(room).includes('old'), room)
    server.cut()
    server.state.epoch = crypto.randomUUID()
    says(2, 'new')
    await until(() => texts(room).includes('new'), room)
    expect(room.view.timeline!.epoch).toBe(server.state.epoch)
  })

  it('keeps messages that were sent offline in a closed tab, and stores each once', async () => {
    const store = memoryStore()
    const first = connect(1, store)
    const room = await enter(first)
    const { port } = server
    await server.stop()
    room.send('one', null, [])
    room.send('two', null, [])
    expect(room.view.pending.map(entry => entry.content)).toEqual(['one', 'two'])
    await until(() => first.state !== 'open', first)
    first.stop()
    await server.listen(port)
    const again = await enter(connect(1, store))
    await until(() => texts(again).length === 2 && again.view.pending.length === 0, again)
    expect(texts(again)).toEqual(['one', 'two'])
    expect(await store.all()).toEqual([])
  })

  it('shows a refused message, which can be retried or discarded', async () => {
    const room = await enter(connect(1))
    room.send('x'.repeat(4001), null, [])
    await until(() => room.view.pending[0]?.state === 'failed', room)
    expect(room.view.pending[0]?.code).toBe('invalid')
    room.send('fine', null, [])
    await until(() => texts(room).includes('fine'), room)
    clients[0]!.outbox.discard(room.view.pending[0]!.client_id)
    expect(room.view.pending).toEqual([])
  })

  it('requests another token if the first is refused, and reports if there is none', async () => {
    let asked = 0
    const client = connect(1, memoryStore(), () => tokenFor(asked++ === 0 ? 99 : 1))
    await until(() => client.state === 'open', client)
    expect(asked).toBe(2)
    const needed = connect(1, memoryStore(), () => tokenFor(1, -10))
    await new Promise(done => needed.addEventListener('auth-needed', done, { once: true }))
    expect(needed.state).toBe('refused')
    needed.setTokenSource(() => tokenFor(1))
    await until(() => needed.state === 'open', needed)
  })

  it('sends a file with its text', async () => {
    const room = await enter(connect(1))
    room.send('the boiler', null, [new File(['%PDF-1.4'], 'boiler.pdf', { type: 'application/pdf' })])
    await until(() => room.view.timeline!.entries.some(e => e.kind === 'message'), room)
    const entry = room.view.timeline!.entries.find(e => e.kind === 'message')
    if (entry?.kind !== 'message') throw new Error('no message')
    expect(entry.message.attachment_name).toBe('boiler.pdf')
    const url = await clients[0]!.fileUrl(entry.message)
    expect(await (await fetch(url)).text()).toBe('%PDF-1.4')
  })

  it('is notified when its user is removed', async () => {
    const bob = await enter(connect(2))
    const room = server.state.rooms.get(roomId)
    server.state.leave(room, room.parts.get(2))
    await until(() => bob.view.gone, bob)
  })

  it('goes on in an open room that its user is added to again', async () => {
    const bob = await enter(connect(2))
    const room = server.state.rooms.get(roomId)
    server.state.leave(room, room.parts.get(2))
    await until(() => bob.view.gone, bob)
    server.state.join(room, 2, false)
    await until(() => !bob.view.gone, bob)
    says(1, 'welcome back')
    await until(() => texts(bob).includes('welcome back'), bob)
  })
})

describe('reactions', () => {
  const reactionsOf = (room: Room) =>
    room.view.timeline!.entries.flatMap(entry =>
      entry.kind === 'message' ? (entry.message.reactions ?? []) : [],
    )
  const messageOf = (room: Room) =>
    room.view.timeline!.entries.flatMap(entry => (entry.kind === 'message' ? [entry.message] : [])).at(-1)!

  async function hello(client: Client): Promise<Room> {
    const room = await enter(client)
    says(2, 'hello')
    await until(() => texts(room).includes('hello'), room)
    return room
  }

  it('are shown at once, and by the log', async () => {
    const alice = connect(1)
    const [a, b] = [await hello(alice), await enter(connect(2))]
    react(alice, messageOf(a), '👍', true)
    expect(reactionsOf(a)).toMatchObject([{ emoji: '👍', count: 1, users: [1] }])
    await until(() => reactionsOf(b).length === 1, b)
    await until(() => alice.outbox.entriesOf(roomId).length === 0, a)
    expect(reactionsOf(a)).toEqual([{ emoji: '👍', count: 1, users: [1] }])
    expect(a.view.pending).toEqual([])
    react(alice, messageOf(a), '👍', false)
    expect(reactionsOf(a)).toEqual([])
    await until(() => reactionsOf(b).length === 0, b)
  })

  it('that the server refuses are taken back, and it is said why', async () => {
    const alice = connect(1)
    const room = await hello(alice)
    server.state.rooms.get(roomId)!.facts.archived_at = '2026-01-01T00:00:00Z'
    react(alice, messageOf(room), '👍', true)
    expect(reactionsOf(room)).toHaveLength(1)
    await until(() => room.view.refusal !== null, room)
    expect(room.view.refusal!.code).toBe('archived')
    expect(reactionsOf(room)).toEqual([])
    expect(alice.outbox.failed).toBe(0)
  })

  it('wait for the connection, also in the store; an opposite pair is not sent', async () => {
    const store = memoryStore()
    const alice = connect(1, store)
    const room = await hello(alice)
    alice.onOffline()
    const message = messageOf(room)
    react(alice, message, '👍', true)
    react(alice, message, '❤️', true)
    react(alice, message, '❤️', false)
    expect(reactionsOf(room)).toMatchObject([{ emoji: '👍', count: 1 }])
    alice.stop()
    const left = [{ change: { type: 'react', emoji: '👍', on: true } }]
    await vi.waitFor(async () => expect(await store.all()).toMatchObject(left))
    // Another tab sends what the first one has left.
    const b = await enter(connect(2))
    const again = await enter(connect(1, store))
    await until(() => reactionsOf(b).length === 1, b)
    await until(() => reactionsOf(again).length === 1, again)
    expect(server.state.messages.get(message.id)!.reactions).toMatchObject([{ emoji: '👍', count: 1 }])
  })

  it('that are read from a log with another order of frames show the same', async () => {
    const alice = connect(1)
    const room = await hello(alice)
    // The acknowledgement is lost: the reaction is sent again, and changes nothing.
    server.tamper = frame => (frame.type === 'ack' ? null : frame)
    react(alice, messageOf(room), '👍', true)
    await until(() => room.view.timeline!.head > 4, room)
    server.tamper = null
    server.cut()
    await until(() => alice.outbox.entriesOf(roomId).length === 0, room)
    expect(reactionsOf(room)).toEqual([{ emoji: '👍', count: 1, users: [1] }])
  })

  it('of more users than are listed are known by REST', async () => {
    const crowd = Array.from({ length: 25 }, (_, n) => server.state.addUser(`user${n}`, `User ${n}`).id)
    const fake = server.state.rooms.get(roomId)!
    for (const user of crowd) server.state.join(fake, user, false)
    const alice = connect(1)
    const room = await hello(alice)
    const [stored] = server.state.messagesOf(fake)
    for (const user of [...crowd, 1]) server.state.react(stored, user, '👍', true).publish?.()
    await until(() => reactionsOf(room)[0]?.count === 26, room)
    const [reaction] = reactionsOf(room)
    expect(isMine(alice, messageOf(room), reaction!)).toBe(false)
    expect(await readOwn(alice, messageOf(room))).toBe(true)
    expect(isMine(alice, messageOf(room), reaction!)).toBe(true)
    react(alice, messageOf(room), '👍', false)
    expect(isMine(alice, messageOf(room), reactionsOf(room)[0]!)).toBe(false)
    await until(() => reactionsOf(room)[0]!.count === 25, room)
    expect(await readOwn(alice, messageOf(room))).toBe(false)
  })
})
