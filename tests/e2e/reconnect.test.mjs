import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, enter, message, open, PEOPLE, PHONE, Server, says, texts } from './harness.mjs'

const { alice, bob } = PEOPLE
let server
let desk
let phone

before(async () => {
  server = await new Server().start()
  await server.group('Cellar', alice, bob)
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
  await enter(desk, 'Cellar')
  await enter(phone, 'Cellar')
  await says(desk, 'before')
  await message(phone, 'before').waitFor()
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** Waits until both pages show the same messages, each of `expected` once. */
async function same(expected) {
  for (const text of expected) {
    await message(desk, text).waitFor()
    await message(phone, text).waitFor()
  }
  for (const page of [desk, phone]) {
    const waiting = page.locator('chat-message:has-text("Waiting to be sent")')
    await waiting.first().waitFor({ state: 'detached', timeout: 30_000 })
  }
  const [a, b] = [await texts(desk), await texts(phone)]
  assert.deepEqual(a, b)
  assert.deepEqual(a.toSorted(), [...new Set(a)].toSorted())
  for (const text of expected) assert.ok(a.includes(text), text)
}

test('messages sent while the server was killed are stored once', async () => {
  await server.kill()
  await says(desk, 'into the dark one')
  await says(desk, 'into the dark two')
  await says(phone, 'from the phone')
  await desk.getByText('Reconnecting').first().waitFor()
  await server.start()
  await same(['before', 'into the dark one', 'into the dark two', 'from the phone'])
})

test('messages waiting in a closed tab are sent by the next one', async () => {
  await server.kill()
  await says(phone, 'kept on disk')
  await phone.locator('chat-message:has-text("Waiting to be sent")').waitFor()
  await phone.waitForFunction(async user => {
    const opened = indexedDB.open(`chat ${location.origin} ${user}`)
    await new Promise(done => opened.addEventListener('success', done))
    const all = opened.result.transaction('drafts').objectStore('drafts').getAll()
    await new Promise(done => all.addEventListener('success', done))
    opened.result.close()
    return all.result.some(draft => draft.content === 'kept on disk')
  }, bob.user_id)
  const context = phone.context()
  await phone.close()
  await server.start()
  phone = await context.newPage()
  phone.faults = []
  await phone.goto(`${server.url}/chat/`)
  await enter(phone, 'Cellar')
  await same(['kept on disk'])
})

test('an offline browser reconnects by itself', async () => {
  await phone.context().setOffline(true)
  await phone.evaluate(() => dispatchEvent(new Event('offline')))
  await says(desk, 'while you were away')
  await message(desk, 'while you were away').locator('.meta:not(:has-text("Waiting"))').waitFor()
  await phone.context().setOffline(false)
  await phone.evaluate(() => dispatchEvent(new Event('online')))
  await says(phone, 'back again')
  await same(['while you were away', 'back again'])
  await phone.locator('chat-conversation .bar').waitFor({ state: 'detached' })
})

test('a lasting interruption is shown, and the reconnect is silent', async () => {
  const bar = page => page.locator('chat-conversation .bar')
  const quiet = desk.evaluate(async () => {
    const conversation = document.querySelector('chat-app').shadowRoot.querySelector('chat-conversation')
    while (!conversation.shadowRoot.querySelector('.bar')) await new Promise(requestAnimationFrame)
    return Date.now() - conversation.client.downSince_ms
  })
  await server.kill()
  assert.ok((await quiet) >= 2_000)
  await bar(desk).getByText('Reconnecting…').waitFor()
  await phone.locator('chat-conversation header .icon').first().tap()
  await phone.locator('chat-room-list:not([inert])').getByText('Reconnecting…').waitFor()
  await bar(desk).getByText('You are offline. Messages will be sent when you are back.').waitFor()
  await server.start()
  await bar(desk).waitFor({ state: 'detached' })
  await phone.getByText('You are offline').waitFor({ state: 'detached' })
  await enter(phone, 'Cellar')
  await says(desk, 'the lights are on')
  await same(['the lights are on'])
})

test('neither page has logged an error', () => {
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})
