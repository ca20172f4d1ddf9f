/** Mentions: completing them, what others see of them, and the ways to them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import {
  AXE,
  act,
  closeBrowser,
  DESK,
  enter,
  message,
  open,
  PEOPLE,
  PHONE,
  Server,
  says,
  violations,
} from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const dave = { user_id: 900_004, username: 'dave', full_name: 'Dave Newman' }
const SOURCE = readFileSync(AXE, 'utf8')
let server
let room
let desk
let phone

before(async () => {
  server = await new Server().start()
  await server.call(dave, 'GET', 'users/me/')
  room = (await server.group('Lobby', alice, bob, carol)).id
  await server.call(alice, 'POST', 'messages/', { room, content: 'Welcome' })
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
  await enter(desk, 'Lobby')
  await enter(phone, 'Lobby')
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const area = page => page.locator('chat-composer textarea')
const option = (page, text) => page.locator(`chat-composer [role=option]:has-text("${text}")`)
const mention = (page, text, name) => message(page, text).locator(`.mention:has-text("@${name}")`)

/** Types at the end of the message. */
async function type(page, text) {
  await area(page).focus()
  await page.keyboard.type(text)
}

async function newest() {
  const { results } = await server.call(alice, 'GET', `messages/?room=${room}&page_size=1`)
  return results[0]
}

test('a name is completed by the keyboard, and whom it names sees it stand out', async () => {
  await type(desk, 'Can you look, @')
  await option(desk, 'Bob Reed').waitFor()
  await option(desk, 'everyone in this room').waitFor()
  assert.equal(await option(desk, 'Alice').count(), 0, 'not oneself')
  await desk.keyboard.type('ca')
  await option(desk, 'Bob Reed').waitFor({ state: 'detached' })
  const selected = await area(desk).getAttribute('aria-activedescendant')
  assert.equal(await desk.locator(`chat-composer #${selected}`).getAttribute('aria-selected'), 'true')
  for (let n = 0; n < 2; n++) await desk.keyboard.press('Backspace')
  await desk.keyboard.press('ArrowDown')
  await desk.keyboard.press('ArrowUp')
  await desk.keyboard.press('Enter')
  await option(desk, '').first().waitFor({ state: 'detached' })
  assert.equal(await area(desk).getAttribute('aria-activedescendant'), null)
  await desk.keyboard.type('and @carol?')
  await desk.keyboard.press('Escape')
  await desk.keyboard.press('Enter')
  await mention(desk, 'Can you look', 'Bob Reed').waitFor()
  await mention(desk, 'Can you look', 'Carol Marsh').waitFor()
  assert.deepEqual((await newest()).mentions, { users: [bob.user_id, carol.user_id], room: false })
  await message(phone, 'Can you look').locator('.mention.self:has-text("@Bob Reed")').waitFor()
  await message(phone, 'Can you look').locator('.mention:not(.self):has-text("@Carol Marsh")').waitFor()
})

test('a name is completed by touch, and Escape leaves what was typed', async () => {
  await area(phone).tap()
  await phone.keyboard.type('Yes @ali')
  const box = await option(phone, 'Alice Stone').boundingBox()
  assert.ok(box.height >= 44, `${box.height} px`)
  await option(phone, 'Alice Stone').tap()
  assert.equal(await area(phone).inputValue(), 'Yes @Alice\u00a0Stone ')
  await phone.locator('chat-composer .send').tap()
  await message(desk, 'Yes').locator('.mention.self:has-text("@Alice Stone")').waitFor()
  await type(desk, 'At @b')
  await option(desk, 'Bob Reed').waitFor()
  await desk.keyboard.press('Escape')
  await option(desk, 'Bob Reed').waitFor({ state: 'detached' })
  await desk.keyboard.type('ob, e-mail me@bob.example')
  await desk.keyboard.press('Enter')
  await mention(desk, 'At', 'Bob Reed').waitFor()
  assert.deepEqual((await newest()).mentions.users, [bob.user_id])
})

test('everyone in the room is mentioned at once, and an edit changes whom a message mentions', async () => {
  await type(desk, '@roo')
  await option(desk, 'everyone').click()
  await desk.keyboard.type('the water is off')
  await desk.keyboard.press('Enter')
  await message(phone, 'the water is off').locator('.mention.self:has-text("@room")').waitFor()
  await act(desk, 'the water is off', 'Edit')
  await area(desk).fill('@carol the water is off')
  await desk.keyboard.press('Enter')
  await mention(phone, 'the water is off', 'Carol Marsh').waitFor()
  assert.deepEqual((await newest()).mentions, { users: [carol.user_id], room: false })
})

test('a user who is not in the room is only text, unless an admin adds them', async () => {
  await says(phone, 'Ask @dave about it')
  await message(desk, 'about it').waitFor()
  assert.deepEqual((await newest()).mentions.users, [])
  await type(phone, '@dave')
  await phone.waitForTimeout(500)
  assert.equal(await option(phone, 'Dave').count(), 0)
  await area(phone).fill('')
  await type(desk, '@dave')
  await option(desk, 'Dave Newman').getByText('Add to the room').waitFor()
  await desk.keyboard.press('Enter')
  await desk.waitForFunction(
    () =>
      document
        .querySelector('chat-app')
        .shadowRoot.querySelector('chat-conversation')
        .shadowRoot.querySelector('chat-composer')
        .shadowRoot.querySelector('textarea').value === '@Dave\u00a0Newman ',
  )
  await desk.keyboard.type('knows the house')
  await desk.keyboard.press('Enter')
  await mention(phone, 'knows the house', 'Dave Newman').waitFor()
  assert.deepEqual((await newest()).mentions.users, [dave.user_id])
})

test('nobody who is in the room is offered to be added to it', async () => {
  await server.group('Pool', alice, bob)
  await server.group('Patio', alice, bob, dave)
  const page = await open(server, alice, DESK)
  await enter(page, 'Pool')
  await type(page, '@dave')
  await option(page, 'Dave Newman').getByText('Add to the room').waitFor()
  await area(page).fill('')
  await enter(page, 'Patio')
  await type(page, '@dave')
  await option(page, '@dave').waitFor()
  await page.waitForTimeout(500)
  assert.equal(await option(page, 'Dave Newman').count(), 1)
  await area(page).fill('')
  await enter(page, 'Pool')
  await type(page, '@dave')
  await option(page, 'Dave Newman').getByText('Add to the room').waitFor()
  await page.keyboard.press('Enter')
  await option(page, '').first().waitFor({ state: 'detached' })
  await type(page, 'and @dave')
  await option(page, '@dave').waitFor()
  await page.waitForTimeout(500)
  assert.equal(await option(page, 'Dave Newman').count(), 1)
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

for (const [size, options] of Object.entries({ desk: DESK, phone: PHONE })) {
  test(`the list shows mentions, and leads to them, ${size}`, async () => {
    const { id } = await server.group(`Roof ${size}`, alice, carol)
    await server.says(alice, id, ['First'])
    await server.call(alice, 'POST', 'messages/', {
      room: id,
      content: '@Carol Marsh the ladder is here',
      mentions: [carol.user_id],
    })
    const page = await open(server, carol, options)
    const badge = page.locator(`button.room:has-text("Roof ${size}") .count.at`)
    await badge.waitFor()
    await page.locator('chat-room-list header .me').click()
    await page.locator('chat-room-list [role=menuitem]:has-text("Mentions of you")').click()
    await page.locator(`chat-mentions .hit:has-text("Roof ${size}")`).click()
    await page.locator('chat-message[marked]:has-text("the ladder is here")').waitFor()
    await page.locator('chat-mentions').waitFor({ state: 'detached' })
    await badge.waitFor({ state: 'detached' })
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`a button leads from one unread mention to the next, ${size}`, async () => {
    const { id } = await server.group(`Yard ${size}`, alice, carol)
    const lines = Array.from({ length: 30 }, (_, n) => `Line ${n}\nand more\nof it`)
    for (const text of ['the gate', 'the fence']) {
      await server.says(alice, id, lines)
      const content = `@Carol Marsh, paint ${text}`
      await server.call(alice, 'POST', 'messages/', { room: id, content, mentions: [carol.user_id] })
    }
    await server.says(alice, id, lines)
    const page = await open(server, carol, options)
    await enter(page, `Yard ${size}`)
    const next = page.getByRole('button', { name: 'Go to the next mention of you (2)' })
    await next.waitFor()
    await next.click()
    await page.locator('chat-message[marked]:has-text("paint the gate")').waitFor()
    await page.getByRole('button', { name: 'Go to the next mention of you (1)' }).click()
    await page.locator('chat-message[marked]:has-text("paint the fence")').waitFor()
    await page.locator('chat-post-area .next').waitFor({ state: 'detached' })
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  for (const colorScheme of ['light', 'dark']) {
    test(`mentions are accessible, ${size}, ${colorScheme}`, async () => {
      const { id } = await server.group(`Hall ${size} ${colorScheme}`, carol, alice, bob)
      const post = (user, content, mentions) =>
        server.call(user, 'POST', 'messages/', { room: id, content, mentions })
      await post(bob, '@Carol Marsh and @Alice Stone: the hall is free', [carol.user_id, alice.user_id])
      await post(carol, 'Thanks @Bob Reed', [bob.user_id])
      const page = await open(server, carol, { ...options, colorScheme, reducedMotion: 'reduce' })
      await page.evaluate(SOURCE)
      const shot = name =>
        process.env.SHOTS &&
        page.screenshot({ path: `${process.env.SHOTS}/mentions-${name}-${size}-${colorScheme}.png` })
      await page.locator('chat-room-list button.room').first().waitFor()
      const found = [await violations(page, 'badge')]
      await shot('badge')
      await page.locator('chat-room-list header .me').click()
      await page.locator('chat-room-list [role=menuitem]:has-text("Mentions of you")').click()
      await page.locator('chat-mentions .hit').first().waitFor()
      found.push(await violations(page, 'list'))
      await shot('list')
      await page.keyboard.press('Escape')
      await enter(page, `Hall ${size} ${colorScheme}`)
      await mention(page, 'the hall is free', 'Carol Marsh').waitFor()
      await type(page, 'And @')
      await option(page, 'Bob Reed').waitFor()
      found.push(await violations(page, 'completion'))
      await shot('completion')
      assert.deepEqual(found.flat(), [])
      assert.deepEqual(page.faults, [])
      await page.context().close()
    })
  }
}

test('a user who has another name now is shown by it', async () => {
  const host = { scope: 'service' }
  await server.call(host, 'PUT', `users/${bob.user_id}/`, { username: 'bob', full_name: 'Robert Reed' })
  // A browser that knows the room already shows the name that it keeps until the room's people change.
  const fresh = await open(server, carol, DESK)
  await enter(fresh, 'Lobby')
  await mention(fresh, 'Can you look', 'Robert Reed').waitFor()
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})
