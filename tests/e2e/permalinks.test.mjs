import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  act,
  closeBrowser,
  DESK,
  enter,
  host,
  message,
  open,
  PEOPLE,
  PHONE,
  Server,
  says,
  tokenOf,
} from './harness.mjs'

const { alice, bob, carol } = PEOPLE
let server
let room
let other
let old

before(async () => {
  server = await new Server().start()
  room = (await server.group('Cellar', alice, bob)).id
  other = (await server.group('Loft', alice, bob)).id
  old = await server.call(bob, 'POST', 'messages/', { room, content: 'The very first word' })
  await server.says(
    bob,
    room,
    Array.from({ length: 150 }, (_, n) => `Later word ${n}`),
  )
  await server.call(alice, 'POST', `rooms/${room}/mark_read/`)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const marked = page => page.locator('chat-message[marked]:has-text("The very first word")')

for (const [size, options] of Object.entries({ desk: DESK, phone: PHONE })) {
  test(`the address of a message opens it, ${size}`, async () => {
    const page = await open(server, alice, options, `/chat/r/${room}/${old.seq}`)
    await marked(page).waitFor()
    await page.waitForURL(`${server.url}/chat/r/${room}`)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })
}

test('a link is copied from the menu of a message, and opens in place from another room', async () => {
  const page = await open(server, alice, DESK, `/chat/r/${room}/${old.seq}`)
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await marked(page).waitFor()
  await act(page, 'The very first word', 'Copy link')
  const link = await page.evaluate(() => navigator.clipboard.readText())
  assert.equal(link, `${server.url}/chat/r/${room}/${old.seq}`)
  await enter(page, 'Loft')
  await says(page, `Please read ${link}`)
  const documents = []
  page.on('framenavigated', frame => documents.push(frame.url()))
  await message(page, 'Please read').locator('a').click()
  await page.locator('chat-conversation h2:has-text("Cellar")').waitFor()
  await marked(page).waitFor()
  assert.equal(page.context().pages().length, 1)
  // And from within the same room.
  await says(page, `Here: ${link}`)
  await message(page, 'Here:').locator('a').click()
  await marked(page).waitFor()
  assert.equal(page.context().pages().length, 1)
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('links to rooms that one is not in, and addresses of other servers, are only links', async () => {
  const page = await open(server, carol, DESK, `/chat/r/${room}/${old.seq}`)
  await page.getByText('Conversation not found').waitFor()
  await page.context().close()
  const desk = await open(server, alice, DESK, `/chat/r/${other}`)
  await says(desk, `See https://other.example/chat/r/${room}/${old.seq}`)
  const [popup] = await Promise.all([
    desk.context().waitForEvent('page'),
    message(desk, 'See https://other.example').locator('a').click(),
  ])
  await popup.close()
  assert.equal(await desk.locator('chat-conversation h2').textContent(), 'Loft')
  await desk.context().close()
})

test('a tag opens links to messages of its own room in place', async () => {
  const token = tokenOf(alice)
  const body = `<!doctype html><html lang="en"><title>Task</title><chat-room room="${room}" token="${token}"></chat-room>
    <script type="module" src="${server.url}/chat-room.js"></script></html>`
  const end = await host(server, { '/': { headers: { 'Content-Type': 'text/html' }, body } })
  try {
    const page = await open({ url: server.foreign }, null, DESK, '/')
    await page.locator('chat-composer textarea').waitFor()
    await says(page, `Again ${server.url}/chat/r/${room}/${old.seq}`)
    await message(page, 'Again').locator('a').click()
    await marked(page).waitFor()
    assert.equal(page.context().pages().length, 1)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  } finally {
    await end()
  }
})
