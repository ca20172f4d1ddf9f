import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  act,
  closeBrowser,
  DESK,
  enter,
  message,
  open,
  PEOPLE,
  PHONE,
  PICTURE,
  Server,
  says,
} from './harness.mjs'

const { alice, bob } = PEOPLE
let server
let desk
let phone

before(async () => {
  server = await new Server().start()
  for (const name of ['Balcony', 'Hall']) {
    const { id: room } = await server.group(name, alice, bob)
    await server.call(bob, 'POST', 'messages/', { room, content: `Question in the ${name}` })
  }
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const area = page => page.locator('chat-composer textarea')
const row = (page, name) => page.locator(`chat-room-list button.room:has-text("${name}")`).first()

test('text, files and reply stay with their room, and the list shows them', async () => {
  await enter(desk, 'Balcony')
  await act(desk, 'Question in the Balcony', 'Reply')
  await area(desk).fill('I am still thinking')
  await desk.locator('chat-composer input[type=file]').setInputFiles(PICTURE)
  await desk.locator('chat-attachments li').waitFor()
  await enter(desk, 'Hall')
  assert.equal(await area(desk).inputValue(), '')
  assert.equal(await desk.locator('chat-composer .about, chat-attachments li').count(), 0)
  await row(desk, 'Balcony').getByText('Draft:').waitFor()
  await row(desk, 'Balcony').getByText('I am still thinking').waitFor()
  await enter(desk, 'Balcony')
  assert.equal(await area(desk).inputValue(), 'I am still thinking')
  await desk.locator('chat-composer .about:has-text("Question in the Balcony")').waitFor()
  await desk.locator('chat-attachments li:has-text("lift.png")').waitFor()
  await desk.locator('chat-composer .send').click()
  await message(desk, 'I am still thinking').locator('.quote').waitFor()
  await enter(desk, 'Hall')
  await row(desk, 'Balcony').getByText('Draft:').waitFor({ state: 'detached' })
})

test('an edit leaves the text, the files and the reply of the draft alone', async () => {
  await enter(desk, 'Hall')
  await says(desk, 'A first answer')
  await act(desk, 'Question in the Hall', 'Reply')
  await area(desk).fill('Here is the picture')
  await desk.locator('chat-composer input[type=file]').setInputFiles(PICTURE)
  const files = desk.locator('chat-attachments li:has-text("lift.png")')
  const reply = desk.locator('chat-composer .about:has-text("Question in the Hall")')
  await files.waitFor()
  await act(desk, 'A first answer', 'Edit')
  await desk.locator('chat-composer .about:has-text("Edit message")').waitFor()
  await area(desk).fill('A better answer')
  await desk.locator('chat-composer .send').click()
  await message(desk, 'A better answer').waitFor()
  await reply.waitFor()
  await files.waitFor()
  assert.equal(await area(desk).inputValue(), 'Here is the picture')
  await act(desk, 'A better answer', 'Edit')
  await area(desk).press('Escape')
  await reply.waitFor()
  await desk.locator('chat-composer .send').click()
  await message(desk, 'Here is the picture').locator('.quote').waitFor()
  await files.waitFor({ state: 'detached' })
})

test("a phone's list shows drafts, including those with only an image", async () => {
  await enter(phone, 'Hall')
  await area(phone).fill('On my way')
  await phone.locator('chat-conversation header .icon').first().tap()
  await row(phone, 'Hall').getByText('Draft:').waitFor()
  await enter(phone, 'Hall')
  await area(phone).fill('')
  await phone.locator('chat-composer input[type=file]').setInputFiles(PICTURE)
  await phone.locator('chat-conversation header .icon').first().tap()
  await row(phone, 'Hall').getByText('lift.png').waitFor()
})

test('text typed just before a reload is restored', async () => {
  await area(desk).pressSequentially('typed at the last moment')
  await desk.reload()
  await area(desk).waitFor()
  assert.equal(await area(desk).inputValue(), 'typed at the last moment')
})

test('another tab has the same draft, which disappears when it is sent', async () => {
  const other = await desk.context().newPage()
  await other.goto(desk.url())
  await area(other).waitFor()
  assert.equal(await area(other).inputValue(), 'typed at the last moment')
  await area(desk).fill('typed and changed')
  const holds = text =>
    other.waitForFunction(text => {
      const conversation = document.querySelector('chat-app').shadowRoot.querySelector('chat-conversation')
      const composer = conversation.shadowRoot.querySelector('chat-composer')
      return composer.shadowRoot.querySelector('textarea').value === text
    }, text)
  await holds('typed and changed')
  await desk.locator('chat-composer .send').click()
  await holds('')
  await other.close()
})

test('a text does not wait for the upload before it', async () => {
  const cdp = await desk.context().newCDPSession(desk)
  await cdp.send('Network.enable')
  const line = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 30_000 }
  await cdp.send('Network.emulateNetworkConditions', line)
  const buffer = Buffer.concat([PICTURE.buffer, Buffer.alloc(600_000)])
  await desk.locator('chat-composer input[type=file]').setInputFiles({ ...PICTURE, name: 'slow.png', buffer })
  await desk.locator('chat-composer .send').click()
  await desk.locator('chat-message .ring').waitFor()
  await says(desk, 'Sent meanwhile')
  await message(desk, 'Sent meanwhile').locator('.meta:not(:has-text("Waiting"))').waitFor()
  await desk.locator('chat-message .ring').waitFor()
  await desk.locator('chat-message .ring').click()
  await cdp.send('Network.emulateNetworkConditions', { ...line, uploadThroughput: -1 })
})

test('a failed message stays last and is reachable from anywhere in the timeline', async () => {
  await desk.route('**/api/chat/messages/', route =>
    route.fulfill({
      status: 400,
      contentType: 'application/json',
      body: '{"detail": "no", "code": "rejected"}',
    }),
  )
  await desk.locator('chat-composer input[type=file]').setInputFiles(PICTURE)
  await desk.locator('chat-composer .send').click()
  await desk.locator('chat-message .fail').waitFor()
  for (let n = 0; n < 30; n++) await says(desk, `Line ${n} after it`)
  await message(desk, 'Line 29 after it').locator('.meta:not(:has-text("Waiting"))').waitFor()
  await desk.locator('chat-message').last().locator('.fail').waitFor()
  await desk.locator('chat-timeline .scroll').evaluate(one => one.scrollTo(0, 0))
  await desk.locator('chat-timeline .unsent:has-text("Not sent: 1")').click()
  await desk.locator('chat-timeline .unsent').waitFor({ state: 'detached' })
  await row(desk, 'Hall').getByText('Not sent.').waitFor()
  await desk.unroute('**/api/chat/messages/')
  await desk.locator('chat-message .fail').getByText('Try again').click()
  await desk.locator('chat-message .fail').waitFor({ state: 'detached' })
  await row(desk, 'Hall').getByText('Not sent.').waitFor({ state: 'detached' })
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})
