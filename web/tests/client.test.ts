import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import WebSocketOf from 'ws'
import { Client } from '../src/client/client.ts'
import { memoryStore, NODE_PORTS } from '../src/client/node.ts'
import type { OutboxStore } from '../src/client/outbox.ts'
import type { Room } from '../src/client/room.ts'
import { FakeServer, tokenFor } from './fake/server.mjs'

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
  server.state.post(server.state.rooms.get(roomId), user, { content }).tell?.()

describe('a client', () => {
  it('keeps what it hears while the list is on its way', async () => {
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
    alice.say('meanwhile', null, null)
    await until(() => bob.inbox.total_unread === 1, bob)
    letThrough()
    await until(() => bob.inbox.loaded, bob)
    expect(bob.inbox.total_unread).toBe(1)
    expect(bob.inbox.rooms.map(room => room.unread_count)).toEqual([1])
  })

  it('sends, and both see it once', async () => {
    const [alice, bob] = [connect(1), connect(2)]
    const [a, b] = [await enter(alice), await enter(bob)]
    a.say('hi', null, null)
    await until(() => texts(b).includes('hi'), b)
    await until(() => texts(a).includes('hi') && a.view.pending.length === 0, a)
    expect(texts(a)).toEqual(['hi'])
    await until(() => bob.inbox.total_unread === 1, bob)
    b.read(b.view.timeline!.entries.flatMap(e => (e.kind === 'message' ? [e.message] : [])).at(-1)!)
    await until(() => bob.inbox.total_unread === 0, bob)
    await until(() => a.view.marks.get(2) === b.view.timeline!.head, a)
  })

  it('tells of what is read in a rush once and then the last of it', async () => {
    const bob = connect(2)
    const room = await enter(bob)
    for (let n = 0; n < 30; n++) says(1, String(n))
    await until(() => texts(room).length === 30, room)
    const sent = vi.spyOn(bob, 'send')
    for (const entry of room.view.timeline!.entries) if (entry.kind === 'message') room.read(entry.message)
    await until(() => room.view.marks.get(2) === room.view.timeline!.head, room)
    expect(sent.mock.calls.filter(([frame]) => frame.type === 'read_receipt')).toHaveLength(2)
  })

  it('says nothing of typing before it is let into the room: the server would refuse it', async () => {
    const alice = connect(1)
    await until(() => alice.state === 'open', alice)
    const sent = vi.spyOn(alice, 'send')
    const room = alice.room(roomId)
    room.open()
    room.type(true)
    const types = () => sent.mock.calls.map(([frame]) => frame.type)
    expect(types()).toEqual(['subscribe'])
    await until(() => room.view.timeline !== null, room)
    room.type(true)
    expect(types()).toEqual(['subscribe', 'typing'])
  })

  it('comes back after a cut line without a missing or doubled message', async () => {
    const room = await enter(connect(1))
    says(2, 'before')
    await until(() => texts(room).includes('before'), room)
    server.cut()
    says(2, 'meanwhile')
    says(2, 'and more')
    await until(() => texts(room).includes('and more'), room)
    expect(texts(room)).toEqual(['before', 'meanwhile', 'and more'])
  })

  it('reads a hole by REST when a frame is lost on the way', async () => {
    const room = await enter(connect(1))
    server.tamper = frame => (frame.message?.content === 'lost' ? null : frame)
    says(2, 'lost')
    says(2, 'seen')
    says(2, 'after')
    await until(() => texts(room).length === 3, room)
    expect(texts(room)).toEqual(['lost', 'seen', 'after'])
  })

  it('reads the room anew after a reset', async () => {
    const room = await enter(connect(1))
    says(2, 'old')
    await until(() => texts(room).includes('old'), room)
    server.cut()
    server.state.epoch = crypto.randomUUID()
    says(2, 'new')
    await until(() => texts(room).includes('new'), room)
    expect(room.view.timeline!.epoch).toBe(server.state.epoch)
  })

  it('keeps what was sent without a line, over a closed tab, and stores it once', async () => {
    const store = memoryStore()
    const first = connect(1, store)
    const room = await enter(first)
    const { port } = server
    await server.stop()
    room.say('one', null, null)
    room.say('two', null, null)
    expect(room.view.pending.map(entry => entry.content)).toEqual(['one', 'two'])
    await until(() => first.state !== 'open', first)
    first.stop()
    await server.listen(port)
    const again = await enter(connect(1, store))
    await until(() => texts(again).length === 2 && again.view.pending.length === 0, again)
    expect(texts(again)).toEqual(['one', 'two'])
    expect(await store.all()).toEqual([])
  })

  it('shows a refusal and lets it be tried again or discarded', async () => {
    const room = await enter(connect(1))
    room.say('x'.repeat(4001), null, null)
    await until(() => room.view.pending[0]?.state === 'failed', room)
    expect(room.view.pending[0]?.code).toBe('invalid')
    room.say('fine', null, null)
    await until(() => texts(room).includes('fine'), room)
    clients[0]!.outbox.discard(room.view.pending[0]!.client_id)
    expect(room.view.pending).toEqual([])
  })

  it('asks for another token when the first is refused, and says when there is none', async () => {
    let asked = 0
    const client = connect(1, memoryStore(), () => tokenFor(asked++ === 0 ? 99 : 1))
    await until(() => client.state === 'open', client)
    expect(asked).toBe(2)
    const needed = connect(1, memoryStore(), () => tokenFor(1, -10))
    await new Promise(done => needed.addEventListener('auth-needed', done, { once: true }))
    expect(needed.state).toBe('refused')
    needed.renew(() => tokenFor(1))
    await until(() => needed.state === 'open', needed)
  })

  it('sends a file with its text', async () => {
    const room = await enter(connect(1))
    room.say('the boiler', null, new File(['%PDF-1.4'], 'boiler.pdf', { type: 'application/pdf' }))
    await until(() => room.view.timeline!.entries.some(e => e.kind === 'message'), room)
    const entry = room.view.timeline!.entries.find(e => e.kind === 'message')
    if (entry?.kind !== 'message') throw new Error('no message')
    expect(entry.message.attachment_name).toBe('boiler.pdf')
    const url = await clients[0]!.fileUrl(entry.message)
    expect(await (await fetch(url)).text()).toBe('%PDF-1.4')
  })

  it('is told when it is taken out', async () => {
    const bob = await enter(connect(2))
    const room = server.state.rooms.get(roomId)
    server.state.leave(room, room.parts.get(2))
    await until(() => bob.view.gone, bob)
  })
})
