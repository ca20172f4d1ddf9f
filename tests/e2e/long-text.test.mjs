import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, enter, message, open, PEOPLE, PHONE, Server, texts } from './harness.mjs'

const { alice, bob } = PEOPLE
/** Three parts, which end after paragraphs. */
const PARTS = ['first', 'second', 'third'].map(name => `The ${name} part. ${'Word '.repeat(600).trim()}`)
let server
let room

before(async () => {
  server = await new Server().start()
  room = (await server.group('Manual', alice, bob)).id
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const area = page => page.locator('chat-composer textarea')

for (const [size, options] of Object.entries({ desk: DESK, phone: PHONE })) {
  test(`a text that is too long is sent as several messages in order, ${size}`, async () => {
    const page = await open(server, alice, options)
    await enter(page, 'Manual')
    await area(page).fill(PARTS.join('\n\n'))
    await page.locator('chat-too-long:has-text("characters too long")').waitFor()
    assert.equal(await page.locator('chat-composer .send').isDisabled(), true)
    await page.locator('chat-too-long button:has-text("Send as 3 messages")').click()
    await message(page, 'The third part').locator('.meta .unseen:text("Sent")').waitFor({ state: 'attached' })
    // The list may be built anew in between, as after a lost connection.
    for (let tries = 0; tries < 50 && (await texts(page)).length < 3; tries++) await page.waitForTimeout(100)
    assert.deepEqual((await texts(page)).slice(-3), PARTS)
    assert.equal(await area(page).inputValue(), '')
    assert.equal(await page.locator('chat-too-long').count(), 0)
    const { results } = await server.call(alice, 'GET', `messages/?room=${room}&page_size=3`)
    assert.deepEqual(results.map(one => one.content).reverse(), PARTS)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })
}

test('a text that is too long becomes a file', async () => {
  const page = await open(server, alice, DESK)
  await enter(page, 'Manual')
  await area(page).fill('x'.repeat(4_001))
  await page.locator('chat-too-long button:has-text("Attach as a text file")').click()
  await page.locator('chat-attachments li:has-text("message.txt")').waitFor()
  await area(page).fill('The log')
  await page.locator('chat-composer .send').click()
  await message(page, 'The log').locator('.doc:has-text("message.txt")').waitFor()
  await message(page, 'The log').locator('.meta .unseen:text("Sent")').waitFor({ state: 'attached' })
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('a text of far too many parts, and an edited message, are not split', async () => {
  const page = await open(server, alice, DESK)
  await enter(page, 'Manual')
  await area(page).fill('Word '.repeat(20_000))
  await page.locator('chat-too-long button:has-text("Attach as a text file")').waitFor()
  assert.equal(await page.locator('chat-too-long button').count(), 1)
  await area(page).fill('')
  await area(page).press('ArrowUp')
  await page.locator('chat-composer .about:has-text("Edit message")').waitFor()
  await area(page).fill('x'.repeat(4_010))
  await page.locator('chat-too-long:has-text("10 characters too long")').waitFor()
  assert.equal(await page.locator('chat-too-long button').count(), 0)
  await page.context().close()
})
