/** The JavaScript samples of CHAT_API, executed against a server. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { PEOPLE, Server, tokenOf } from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const require = createRequire(new URL('../../web/package.json', import.meta.url))
const DOC = readFileSync(new URL('../../docs/api/CHAT_API.md', import.meta.url), 'utf8')
const WEB_SOCKET = require('ws')
let server
let room
/** The names that the samples define. */
let api

before(async () => {
  globalThis.WebSocket = WEB_SOCKET
  server = await new Server().start()
  room = (await server.group('By the book', alice, bob)).id
  const samples = [...DOC.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, text]) => text)
  const source = samples.join('\n').replace('http://127.0.0.1:8000', server.url)
  const names = 'call, send, sendFile, listRooms, openDirect, openTask, RoomSocket'
  const url = `data:text/javascript,${encodeURIComponent(`${source}\nexport { ${names} }`)}`
  api = await import(url)
})

after(() => server.stop())

/** The sample's socket, its events, and a way to wait for more of them. */
function connect(token, where = room) {
  const frames = []
  const checks = new Set()
  const socket = new api.RoomSocket(where, token, frame => {
    frames.push(frame)
    for (const check of checks) check()
  })
  const received = wanted =>
    new Promise(done => {
      const check = () => {
        const found = frames.find(wanted)
        if (!found) return
        checks.delete(check)
        done(found)
      }
      checks.add(check)
      check()
    })
  return { socket, frames, received }
}

const said = text => frame => frame.type === 'chat_message' && frame.message.content === text

/** Loses the response to the first POST request. */
function loseFirstResponse(t) {
  const { fetch } = globalThis
  let lost = false
  t.mock.method(globalThis, 'fetch', async (...args) => {
    const answer = await fetch(...args)
    if (lost || args[1]?.method !== 'POST') return answer
    lost = true
    throw new TypeError('the connection was lost')
  })
}

test('lists rooms, opens one and loads it', async () => {
  const token = tokenOf(alice)
  const { results } = await api.listRooms(token)
  assert.ok(results.some(one => one.id === room))
  assert.equal((await api.openDirect(token, bob.user_id)).room_type, 'direct')
  assert.equal((await api.openTask(tokenOf({ ...alice, grant: 'task:42' }), 42, 'Boiler')).task, 42)
  await assert.rejects(api.call(token, 'GET', `/api/chat/rooms/${randomUUID()}/`), { status: 404 })
})

test('a text and a file whose responses were lost are sent again and stored once', async t => {
  const token = tokenOf(alice)
  loseFirstResponse(t)
  await api.send(token, room, 'Only once')
  t.mock.restoreAll()
  loseFirstResponse(t)
  const file = new File(['%PDF-1.4\n%%EOF\n'], 'bill.pdf', { type: 'application/pdf' })
  await api.sendFile(token, room, file, 'The only bill')
  t.mock.restoreAll()
  const { results } = await server.call(alice, 'GET', `messages/?room=${room}&limit=50`)
  for (const text of ['Only once', 'The only bill'])
    assert.equal(results.filter(one => one.content === text).length, 1, text)
})

test('the socket reconnects after the token could not be fetched, and resumes', async () => {
  let asked = 0
  const { socket, received } = connect(async () => {
    if (asked++ === 0) throw new Error('the host is away')
    return tokenOf(alice)
  })
  assert.equal((await received(one => one.type === 'closed')).again, true)
  await received(one => one.type === 'connection_established')
  socket.say('From the sample')
  await received(one => one.type === 'ack')
  await received(said('From the sample'))
  socket.socket.close()
  await server.call(bob, 'POST', 'messages/', { room, content: 'Missed' })
  await received(said('Missed'))
  assert.equal(asked, 3)
  socket.close()
})

test('a rejected client is informed and does not retry', async () => {
  let asked = 0
  const refused = connect(() => `${tokenOf(alice)}${asked++}`)
  const end = await refused.received(one => one.type === 'closed' && !one.again)
  assert.deepEqual([end.code, asked], [4401, 2])
  await server.call(carol, 'GET', 'users/me/')
  const stranger = connect(() => tokenOf(carol))
  assert.equal((await stranger.received(one => one.type === 'closed')).code, 4403)
  assert.equal(stranger.frames.at(-1).again, false)
})

test('too many sockets do not cause an immediate retry', async t => {
  let opened = 0
  t.mock.timers.enable({ apis: ['setTimeout'] })
  globalThis.WebSocket = class {
    constructor() {
      opened++
      queueMicrotask(() => this.onclose({ code: 4409 }))
    }
    close() {}
  }
  const settled = () => new Promise(done => setImmediate(done))
  const { socket } = connect(() => 'token')
  await settled()
  t.mock.timers.tick(7_000)
  await settled()
  assert.equal(opened, 1)
  t.mock.timers.tick(8_001)
  await settled()
  assert.equal(opened, 2)
  socket.close()
  globalThis.WebSocket = WEB_SOCKET
})
