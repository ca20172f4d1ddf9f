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
  remove,
  Server,
  says,
  swipe,
  texts,
} from './harness.mjs'

const { alice, bob } = PEOPLE
let server
let desk
let phone

before(async () => {
  server = await new Server().start()
  await server.group('Stairwell', alice, bob)
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
  await enter(desk, 'Stairwell')
  await enter(phone, 'Stairwell')
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

test("two users talk, and see each other's typing and receipts", async () => {
  await desk.locator('chat-composer textarea').pressSequentially('Is the lift')
  await phone.getByText('Alice is typing').first().waitFor()
  await says(desk, 'Is the lift working again?')
  await message(phone, 'Is the lift working again?').waitFor()
  await desk.locator('chat-message .readers').waitFor()
  await says(phone, 'Since noon, yes')
  await message(desk, 'Since noon, yes').waitFor()
  assert.deepEqual(await texts(desk), ['Is the lift working again?', 'Since noon, yes'])
  assert.deepEqual(await texts(phone), await texts(desk))
})

test('a swipe on a phone replies, and the quote leads to the original', async () => {
  await swipe(phone, 'Is the lift', 110)
  await phone.locator('chat-composer .about').waitFor()
  await says(phone, 'The caretaker came')
  const quote = message(desk, 'The caretaker came').locator('.quote')
  await quote.waitFor()
  assert.match(await quote.textContent(), /You\s*Is the lift working again\?/)
  await quote.click()
  await desk.locator('chat-message[marked]:has-text("Is the lift")').waitFor()
})

test('the other user sees an edit and a deletion', async () => {
  await says(desk, 'See you at tree')
  await act(desk, 'See you at tree', 'Edit')
  await says(desk, 'See you at three')
  await message(phone, 'See you at three').getByText('edited').waitFor()
  await says(phone, 'wrong room')
  await message(phone, 'wrong room').locator('.meta svg').waitFor()
  await remove(phone, 'wrong room', true)
  await message(desk, 'This message was deleted').waitFor()
  assert.equal((await texts(desk)).includes('wrong room'), false)
})

test('a failed edit stays in the composer', async () => {
  await desk.route('**/api/chat/messages/*/', route => route.abort(), { times: 1 })
  await act(desk, 'See you at three', 'Edit')
  await says(desk, 'See you at four')
  await desk.getByText('There is no connection.').waitFor()
  await desk.locator('chat-composer .about').waitFor()
  assert.equal(await desk.locator('chat-composer textarea').inputValue(), 'See you at four')
  await desk.locator('chat-composer .send').click()
  await message(phone, 'See you at four').getByText('edited').waitFor()
})

test("Up edits the user's last message, Escape cancels it", async () => {
  await message(desk, 'See you at four').waitFor()
  await desk.locator('chat-composer textarea').press('ArrowUp')
  assert.equal(await desk.locator('chat-composer textarea').inputValue(), 'See you at four')
  await desk.locator('chat-composer textarea').press('Escape')
  assert.equal(await desk.locator('chat-composer textarea').inputValue(), '')
})

test('an image and a document arrive', async () => {
  const paper = { name: 'bill.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4\n%%EOF\n') }
  await desk.locator('chat-composer input[type=file]').setInputFiles([PICTURE, paper])
  await says(desk, 'The lift and its bill')
  await phone.locator('chat-message .picture img').waitFor()
  await phone.locator('chat-more-files a:has-text("bill.pdf")').waitFor()
  await phone.locator('chat-message button.picture').tap()
  await phone.locator('chat-viewer img').waitFor()
  await phone.keyboard.press('Escape')
  await phone.locator('chat-viewer').waitFor({ state: 'detached' })
})

test('a search result leads to its message', async () => {
  await desk.locator('chat-conversation header .icon').last().click()
  await desk.locator('chat-search input').fill('caretaker')
  await desk.locator('chat-search .hit').click()
  await desk.locator('chat-message[marked]:has-text("caretaker")').waitFor()
  await desk.keyboard.press('Escape')
})

test('a draft survives a reload, and the address leads to the room', async () => {
  await desk.locator('chat-composer textarea').fill('half a thou')
  await desk.waitForFunction(() => Object.values(localStorage).includes('half a thou'))
  assert.match(desk.url(), /\/chat\/r\/[0-9a-f-]{36}$/)
  await desk.reload()
  await desk.locator('chat-composer textarea').waitFor()
  assert.equal(await desk.locator('chat-composer textarea').inputValue(), 'half a thou')
  await desk.goBack()
  await desk.getByText('Choose a conversation').waitFor()
})

test('neither page has logged an error', () => {
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})
