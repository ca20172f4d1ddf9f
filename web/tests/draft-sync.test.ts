import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import WebSocketOf from 'ws'
import { Client } from '../src/client/client.ts'
import { type DraftState, DraftSync, type LocalDrafts } from '../src/client/draft-sync.ts'
import { NODE_PORTS } from '../src/client/node-ports.ts'
import type { Message } from '../src/client/wire.ts'
import { FakeServer } from './fake/server.mjs'
import { tokenFor } from './fake/tokens.mjs'

let server: FakeServer
let room: string
const clients: Client[] = []

beforeEach(async () => {
  server = await new FakeServer().listen()
  server.state.addUser('alice', 'Alice')
  server.state.addUser('bob', 'Bob')
  room = server.state.makeRoom({ room_type: 'group', name: 'Site' }, 1, [2]).facts.id
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.stop()
  await server.stop()
})

/** The drafts of a device, in memory. */
class MemoryDrafts extends EventTarget implements LocalDrafts {
  texts = new Map<string, string>()
  replies = new Map<string, Message>()
  busy = false
  state: DraftState = {}
  rooms = () => [...this.texts.keys()].filter(room => this.texts.get(room))
  text = (room: string) => this.texts.get(room) ?? ''
  reply = (room: string) => this.replies.get(room) ?? null
  isBusy = () => this.busy
  loadState = () => this.state
  receive(room: string, text: string) {
    this.texts.set(room, text)
    this.dispatchEvent(new Event('change'))
  }
  receiveReply(room: string, message: Message | null) {
    if (message) this.replies.set(room, message)
    else this.replies.delete(room)
  }
  saveState(state: DraftState) {
    this.state = state
  }
}

/** A device of Alice: what it has stored survives its page. */
class Device {
  drafts = new MemoryDrafts()
  client!: Client
  sync!: DraftSync

  open(): this {
    this.client = new Client(server.url, 1, () => tokenFor(1), {
      ...NODE_PORTS,
      WebSocket: WebSocketOf as unknown as typeof WebSocket,
      random: () => 0,
    })
    clients.push(this.client)
    this.sync = new DraftSync(this.client, this.drafts)
    this.client.start()
    return this
  }

  close(): void {
    this.client.stop()
  }

  types(text: string): void {
    this.drafts.texts.set(room, text)
    this.sync.onTyped(room)
  }

  async holds(text: string): Promise<void> {
    await until(() => this.drafts.text(room) === text)
  }
}

async function until(claim: () => boolean): Promise<void> {
  while (!claim()) await new Promise(done => setTimeout(done, 10))
}

const stored = () => server.state.draftsOf(1)[0]?.content ?? ''

describe('a draft', () => {
  it('is shown on the other devices, also on those that open later, until it is ended', async () => {
    const phone = new Device().open()
    const desk = new Device().open()
    phone.types('On my')
    phone.types('On my way')
    await desk.holds('On my way')
    const later = new Device().open()
    await later.holds('On my way')
    desk.types('')
    await phone.holds('')
    await later.holds('')
    expect(stored()).toBe('')
  })

  it('is sent once for many keys, and not at all if the message is sent at once', async () => {
    const phone = new Device().open()
    let calls = 0
    server.tamper = frame => {
      if (frame.type === 'draft') calls++
      return frame
    }
    for (const text of ['a', 'ab', 'abc']) phone.types(text)
    await until(() => stored() === 'abc')
    phone.types('')
    await until(() => stored() === '')
    expect(calls).toBe(2)
    phone.types('Yes')
    phone.types('')
    await new Promise(done => setTimeout(done, 1_300))
    expect(calls).toBe(2)
  })

  it('never replaces what is being typed, and is replaced by it', async () => {
    const phone = new Device().open()
    const desk = new Device().open()
    phone.types('From the phone')
    await desk.holds('From the phone')
    desk.drafts.busy = true
    phone.types('From the phone again')
    await until(() => stored() === 'From the phone again')
    await new Promise(done => setTimeout(done, 100))
    expect(desk.drafts.text(room)).toBe('From the phone')
    desk.types('From the desk')
    await phone.holds('From the desk')
    expect(desk.drafts.text(room)).toBe('From the desk')
  })

  it('is shown once the user no longer types', async () => {
    const phone = new Device().open()
    const desk = new Device().open()
    phone.types('One')
    await desk.holds('One')
    desk.drafts.busy = true
    phone.types('')
    await until(() => stored() === '')
    await new Promise(done => setTimeout(done, 100))
    expect(desk.drafts.text(room)).toBe('One')
    desk.drafts.busy = false
    desk.sync.onIdle()
    expect(desk.drafts.text(room)).toBe('')
  })

  it('that was typed offline is sent when there is a connection, also by the next page', async () => {
    const phone = new Device().open()
    const desk = new Device().open()
    phone.types('Before')
    await desk.holds('Before')
    const { port } = server
    await server.stop()
    phone.types('In the cellar')
    await new Promise(done => setTimeout(done, 1_200))
    phone.close()
    desk.close()
    await server.listen(port)
    phone.open()
    await until(() => stored() === 'In the cellar')
    desk.open()
    await desk.holds('In the cellar')
  })

  it('that was ended elsewhere while a device was closed is ended there', async () => {
    const phone = new Device().open()
    const desk = new Device().open()
    phone.types('Later')
    await desk.holds('Later')
    desk.close()
    phone.types('')
    await until(() => stored() === '')
    desk.open()
    await desk.holds('')
  })

  it('from before there were drafts at the server is sent, not dropped', async () => {
    const desk = new Device()
    desk.drafts.texts.set(room, 'An old one')
    desk.open()
    await until(() => stored() === 'An old one')
  })

  it('keeps the message that it replies to', async () => {
    const { message, publish } = server.state.post(server.state.rooms.get(room), 2, { content: 'Where?' })
    publish!()
    const phone = new Device().open()
    const desk = new Device().open()
    await until(() => phone.client.state === 'open')
    const { data } = await phone.client.api.GET('/api/chat/messages/{id}/', {
      params: { path: { id: message.id } },
    })
    phone.drafts.replies.set(room, { ...data, room_id: data.room })
    phone.types('At the door')
    await desk.holds('At the door')
    await desk.sync.loadReply(room)
    expect(desk.drafts.reply(room)?.content).toBe('Where?')
    phone.types('')
    await desk.holds('')
    expect(desk.drafts.reply(room)).toBe(null)
  })

  it('stays on its device if the server has none', async () => {
    server.hasDrafts = false
    const desk = new Device().open()
    desk.types('Mine')
    await new Promise(done => setTimeout(done, 1_200))
    desk.close()
    desk.open()
    await until(() => desk.client.state === 'open')
    await new Promise(done => setTimeout(done, 200))
    expect(desk.drafts.text(room)).toBe('Mine')
  })

  it('of a room that one has left is sent once per connection at most', async () => {
    const desk = new Device()
    desk.drafts.texts.set('00000000-0000-4000-8000-000000000000', 'Gone')
    desk.open()
    desk.types('Here')
    await until(() => stored() === 'Here')
    expect(desk.drafts.text('00000000-0000-4000-8000-000000000000')).toBe('Gone')
  })
})
