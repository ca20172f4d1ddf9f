/** The JavaScript of CHAT_API, as it stands there, against a server. */
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
/** What the samples define. */
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

/** A socket of the sample with what it has told, and a way to wait for more. */
function follows(token, where = room) {
  const told = []
  const waiting = new Set()
  const socket = new api.RoomSocket(where, token, frame => {
    told.push(frame)
    for (const look of waiting) look()
  })
  const hears = wanted =>
    new Promise(done => {
      const look = () => {
        const found = told.find(wanted)
        if (!found) return
        waiting.delete(look)
        done(found)
      }
      waiting.add(look)
      look()
    })
  return { socket, told, hears }
}

const said = text => frame => frame.type === 'chat_message' && frame.message.content === text

/** Lets requests be answered and loses the first answer. */
function losesOneAnswer(t) {
  const { fetch } = globalThis
  let lost = false
  t.mock.method(globalThis, 'fetch', async (...args) => {
    const answer = await fetch(...args)
    if (lost || args[1]?.method !== 'POST') return answer
    lost = true
    throw new TypeError('the line broke')
  })
}

test('lists, opens and asks', async () => {
  const token = tokenOf(alice)
  const { results } = await api.listRooms(token)
  assert.ok(results.some(one => one.id === room))
  assert.equal((await api.openDirect(token, bob.user_id)).room_type, 'direct')
  assert.equal((await api.openTask(tokenOf({ ...alice, grant: 'task:42' }), 42, 'Boiler')).task, 42)
  await assert.rejects(api.call(token, 'GET', `/api/chat/rooms/${randomUUID()}/`), { status: 404 })
})

test('a text and a file whose answers were lost are sent again and stored once', async t => {
  const token = tokenOf(alice)
  losesOneAnswer(t)
  await api.send(token, room, 'Only once')
  t.mock.restoreAll()
  losesOneAnswer(t)
  const file = new File(['%PDF-1.4\n%%EOF\n'], 'bill.pdf', { type: 'application/pdf' })
  await api.sendFile(token, room, file, 'The only bill')
  t.mock.restoreAll()
  const { results } = await server.call(alice, 'GET', `messages/?room=${room}&limit=50`)
  for (const text of ['Only once', 'The only bill'])
    assert.equal(results.filter(one => one.content === text).length, 1, text)
})

test('the socket comes back after a token that could not be had, and resumes', async () => {
  let asked = 0
  const { socket, hears } = follows(async () => {
    if (asked++ === 0) throw new Error('the host is away')
    return tokenOf(alice)
  })
  assert.equal((await hears(one => one.type === 'closed')).again, true)
  await hears(one => one.type === 'connection_established')
  socket.say('From the sample')
  await hears(one => one.type === 'ack')
  await hears(said('From the sample'))
  socket.socket.close()
  await server.call(bob, 'POST', 'messages/', { room, content: 'Missed' })
  await hears(said('Missed'))
  assert.equal(asked, 3)
  socket.close()
})

test('who is not let in is told so and does not ask again', async () => {
  let asked = 0
  const refused = follows(() => `${tokenOf(alice)}${asked++}`)
  const end = await refused.hears(one => one.type === 'closed' && !one.again)
  assert.deepEqual([end.code, asked], [4401, 2])
  await server.call(carol, 'GET', 'users/me/')
  const stranger = follows(() => tokenOf(carol))
  assert.equal((await stranger.hears(one => one.type === 'closed')).code, 4403)
  assert.equal(stranger.told.at(-1).again, false)
})

test('too many sockets are no reason to ask at once', async t => {
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
  const { socket } = follows(() => 'token')
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
