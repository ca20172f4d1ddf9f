/** Calls that fail at first, answers that come late, and a line that isn't there. */
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import WebSocketOf from 'ws'
import { idbCache } from '../src/client/cache-idb.ts'
import { Client, type Ports } from '../src/client/client.ts'
import { memoryStore, NODE_PORTS } from '../src/client/node.ts'
import type { Room } from '../src/client/room.ts'
import { FakeServer, tokenFor } from './fake/server.mjs'

let server: FakeServer
let roomId: string
let clients: Client[] = []

beforeEach(async () => {
  server = await new FakeServer().listen()
  server.state.addUser('alice', 'Alice')
  server.state.addUser('bob', 'Bob')
  roomId = server.state.makeRoom({ room_type: 'group', name: 'Site' }, 1, [2]).facts.id
})

afterEach(async () => {
  for (const client of clients) client.stop()
  clients = []
  await server.stop()
})

function connect(ports: Partial<Ports> = {}, user = 1): Client {
  const client = new Client(server.url, user, () => tokenFor(user), {
    ...NODE_PORTS,
    WebSocket: WebSocketOf as unknown as typeof WebSocket,
    store: async () => memoryStore(),
    random: () => 0,
    ...ports,
  })
  clients.push(client)
  client.start()
  return client
}

/** A client that keeps what it reads on the device. */
const keeping = () => connect({ cache: async (url, user) => idbCache(url, user) })

async function until(claim: () => boolean, target: EventTarget): Promise<void> {
  while (!claim()) await new Promise(done => target.addEventListener('change', done, { once: true }))
}

/** A `fetch` that refuses the first `times` calls of `path` as an overloaded server does. */
function refusing(path: RegExp, status: number, times: number): typeof fetch {
  let left = times
  return async (input, init) => {
    if (!path.test(String(input)) || left-- <= 0) return fetch(input, init)
    return new Response('{"detail": "later", "code": "x"}', { status, headers: { 'Retry-After': '0' } })
  }
}

const texts = (room: Room) =>
  room.view.timeline?.entries.flatMap(entry => (entry.kind === 'message' ? [entry.message.content] : [])) ??
  []

const says = (user: number, content: string) =>
  server.state.post(server.state.rooms.get(roomId), user, { content }).tell?.()

describe('a first load that fails', () => {
  for (const status of [503, 429]) {
    it(`of the list with ${status} says so and is tried again`, async () => {
      const client = connect({ fetch: refusing(/\/rooms\/\?/, status, 2) })
      await until(() => client.listTrouble !== null, client)
      expect(client.state).toBe('open')
      expect(client.inbox.loaded).toBe(false)
      await until(() => client.inbox.loaded, client)
      expect(client.listTrouble).toBe(null)
      expect(client.inbox.rooms).toHaveLength(1)
    })

    it(`of a room with ${status} says so, is tried again and loses nothing that came meanwhile`, async () => {
      says(2, 'before')
      const client = connect({ fetch: refusing(/\/events\//, status, 2) })
      const room = client.room(roomId)
      room.open()
      await until(() => room.view.error !== null, room)
      says(2, 'meanwhile')
      await until(() => room.view.timeline !== null, room)
      expect(room.view.error).toBe(null)
      await until(() => texts(room).length === 2, room)
      expect(texts(room)).toEqual(['before', 'meanwhile'])
    })
  }

  it('of a hole is tried again on the same line', async () => {
    const client = connect({ fetch: refusing(/\/events\/\?since=4/, 503, 2) })
    const room = client.room(roomId)
    room.open()
    await until(() => room.view.timeline !== null, room)
    says(2, 'first')
    await until(() => texts(room).length === 1, room)
    expect(room.view.timeline!.head).toBe(4)
    server.tamper = frame => (frame.message?.content === 'lost' ? null : frame)
    const sockets = [...server.sockets]
    says(2, 'lost')
    says(2, 'seen')
    await until(() => texts(room).length === 3, room)
    expect(texts(room)).toEqual(['first', 'lost', 'seen'])
    expect([...server.sockets]).toEqual(sockets)
  })

  it('is not tried again when there is no such room', async () => {
    const client = connect({ fetch: refusing(/\/events\//, 404, 9) })
    const room = client.room(roomId)
    room.open()
    await until(() => room.view.gone, room)
    expect(room.view.timeline).toBe(null)
  })
})

describe('an answer that comes late', () => {
  it('does not put an older timeline in the place of a newer one', async () => {
    let letGo = () => {}
    const held = new Promise<void>(done => {
      letGo = done
    })
    let calls = 0
    const slow: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init)
      // What was read for the first load is only given after the second one has come.
      if (/\/events\//.test(String(input)) && ++calls === 1) await held
      return answer
    }
    const client = connect({ fetch: slow })
    const room = client.room(roomId)
    room.open()
    await until(() => client.state === 'open', client)
    while (calls === 0) await new Promise(done => setTimeout(done, 5))
    server.state.epoch = crypto.randomUUID()
    says(2, 'after the restore')
    server.cut()
    await until(() => room.view.timeline !== null, room)
    const { timeline } = room.view
    letGo()
    await new Promise(done => setTimeout(done, 50))
    expect(room.view.timeline).toBe(timeline)
    expect(room.view.timeline!.epoch).toBe(server.state.epoch)
    expect(texts(room)).toEqual(['after the restore'])
  })
})

describe('without a line', () => {
  it('list and rooms are there as they were folded last, also the edits and deletions', async () => {
    const room = server.state.rooms.get(roomId)
    const first = keeping()
    const open = first.room(roomId)
    open.open()
    await until(() => open.view.timeline !== null && first.inbox.loaded, open)
    says(2, 'edited')
    says(2, 'deleted')
    await until(() => texts(open).length === 2, open)
    const [edited, deleted] = server.state.messagesOf(room)
    server.state.edit(edited, 'as edited')
    server.state.remove(deleted)
    await until(() => texts(open)[1] === '[Message deleted]', open)
    await first.cache.flush()
    first.stop()
    const { port } = server
    await server.stop()

    const second = keeping()
    await until(() => second.inbox.loaded, second)
    expect(second.inbox.rooms.map(row => row.display_name)).toEqual(['Site'])
    const again = second.room(roomId)
    again.open()
    await until(() => again.view.timeline !== null, again)
    expect(texts(again)).toEqual(['as edited', '[Message deleted]'])

    await server.listen(port)
    says(2, 'while you were away')
    second.poke()
    await until(() => texts(again).length === 3, again)
    expect(again.view.timeline!.head).toBe(room.log.length)
  })

  it('a room that was never read here says so, and comes by itself', async () => {
    const { port } = server
    await server.stop()
    const client = connect()
    const room = client.room(roomId)
    room.open()
    await until(() => room.view.error?.code === 'offline', room)
    await server.listen(port)
    client.poke()
    await until(() => room.view.timeline !== null, room)
    expect(room.view.error).toBe(null)
  })

  it('a room that was just read is still in memory, and goes on without being read again', async () => {
    says(2, 'first')
    let reads = 0
    const counting: typeof fetch = (input, init) => {
      if (/\/events\//.test(String(input))) reads++
      return fetch(input, init)
    }
    const client = connect({ fetch: counting })
    const room = client.room(roomId)
    room.open()
    await until(() => room.view.timeline !== null, room)
    room.close()
    says(2, 'second')
    const again = client.room(roomId)
    expect(again).not.toBe(room)
    again.open()
    await until(() => again.view.timeline !== null, again)
    // Shown with what has come since: the line "New" and the place to read on depend on it.
    expect(texts(again)).toEqual(['first', 'second'])
    expect(reads).toBe(1)
  })

  it('is heard at once when the device says so', async () => {
    const client = connect()
    await until(() => client.state === 'open', client)
    client.lost()
    expect(client.state).toBe('waiting')
    expect(client.downSince_ms).not.toBe(null)
    client.poke()
    await until(() => client.state === 'open', client)
  })

  it('nothing is left after signing out, also not of what was still to be written', async () => {
    const client = keeping()
    const room = client.room(roomId)
    room.open()
    await until(() => room.view.timeline !== null && client.inbox.loaded, room)
    await client.cache.flush()
    says(2, 'to be written')
    await until(() => texts(room).length === 1, room)
    await client.cache.erase()
    await client.cache.flush()
    client.stop()
    const store = idbCache(server.url, 1)
    expect(await store.list()).toBe(undefined)
    expect(await store.room(roomId)).toBe(undefined)
  })

  it('keeps a bounded number of rooms, those that were used last', async () => {
    const client = keeping()
    const room = client.room(roomId)
    room.open()
    await until(() => room.view.timeline !== null, room)
    const { timeline, marks } = room.view
    const store = idbCache(server.url, 1)
    for (let n = 0; n < 45; n++) {
      store.keepRoom({ id: `room ${n}`, timeline: timeline!, marks })
      await store.flush()
    }
    expect(await store.room('room 4')).toBe(undefined)
    expect(await store.room('room 44')).toBeDefined()
  })
})
