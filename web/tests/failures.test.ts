/** Failing calls, late responses, and a missing connection. */
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import WebSocketOf from 'ws'
import { idbCache } from '../src/client/cache-idb.ts'
import { Client, type Ports } from '../src/client/client.ts'
import { memoryStore, NODE_PORTS } from '../src/client/node-ports.ts'
import type { Room } from '../src/client/room.ts'
import { FakeServer } from './fake/server.mjs'
import { tokenFor } from './fake/tokens.mjs'

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

/** A client with a persistent cache. */
const keeping = () => connect({ cache: async (url, user) => idbCache(url, user) })

async function until(claim: () => boolean, target: EventTarget): Promise<void> {
  while (!claim()) await new Promise(done => target.addEventListener('change', done, { once: true }))
}

/** Returns a `fetch` that refuses the first `times` calls of `path` as an overloaded server does. */
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
  server.state.post(server.state.rooms.get(roomId), user, { content }).publish?.()

describe('a failing first load', () => {
  for (const status of [503, 429]) {
    it(`of the list with ${status} is reported and retried`, async () => {
      const client = connect({ fetch: refusing(/\/rooms\/\?/, status, 2) })
      await until(() => client.listError !== null, client)
      expect(client.state).toBe('open')
      expect(client.inbox.loaded).toBe(false)
      await until(() => client.inbox.loaded, client)
      expect(client.listError).toBe(null)
      expect(client.inbox.rooms).toHaveLength(1)
    })

    it(`of a room with ${status} is reported and retried, and loses no live message`, async () => {
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

  it('of a gap is retried on the same connection', async () => {
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

  it('is not retried if the room does not exist', async () => {
    const client = connect({ fetch: refusing(/\/events\//, 404, 9) })
    const room = client.room(roomId)
    room.open()
    await until(() => room.view.gone, room)
    expect(room.view.timeline).toBe(null)
  })
})

describe('a late response', () => {
  it('does not replace a newer timeline by an older one', async () => {
    let letGo = () => {}
    const held = new Promise<void>(done => {
      letGo = done
    })
    let calls = 0
    const slow: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init)
      // The response to the first load is held back until the second one has been processed.
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

describe('offline', () => {
  it('the list and the rooms are available with all edits and deletions', async () => {
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
    second.checkConnection()
    await until(() => texts(again).length === 3, again)
    expect(again.view.timeline!.head).toBe(room.log.length)
  })

  it('a room that is not cached reports an error and loads once there is a connection', async () => {
    const { port } = server
    await server.stop()
    const client = connect()
    const room = client.room(roomId)
    room.open()
    await until(() => room.view.error?.code === 'offline', room)
    await server.listen(port)
    client.checkConnection()
    await until(() => room.view.timeline !== null, room)
    expect(room.view.error).toBe(null)
  })

  it('a room that was read recently resumes from memory without being read again', async () => {
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
    // It is shown together with the new events: the line "New" and the scroll position depend on it.
    expect(texts(again)).toEqual(['first', 'second'])
    expect(reads).toBe(1)
  })

  it("the device's own report takes effect immediately", async () => {
    const client = connect()
    await until(() => client.state === 'open', client)
    client.onOffline()
    expect(client.state).toBe('waiting')
    expect(client.downSince_ms).not.toBe(null)
    client.checkConnection()
    await until(() => client.state === 'open', client)
  })

  it('signing out erases everything, including pending writes', async () => {
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
    expect(await store.loadList()).toBe(undefined)
    expect(await store.loadRoom(roomId)).toBe(undefined)
  })

  it('the cache holds a bounded number of rooms, the most recently used ones', async () => {
    const client = keeping()
    const room = client.room(roomId)
    room.open()
    await until(() => room.view.timeline !== null, room)
    const { timeline, marks } = room.view
    const store = idbCache(server.url, 1)
    for (let n = 0; n < 45; n++) {
      store.saveRoom({ id: `room ${n}`, timeline: timeline!, marks })
      await store.flush()
      // Each is used later than the one before, by a clock of milliseconds.
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    expect(await store.loadRoom('room 4')).toBe(undefined)
    expect(await store.loadRoom('room 44')).toBeDefined()
  })
})
