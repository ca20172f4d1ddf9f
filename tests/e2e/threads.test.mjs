/** Threads: opened beside the room, kept out of it, live for everyone, with what is unread. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import {
  AXE,
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
  settledBox,
  texts,
  tokenOf,
  violations,
} from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
let server
let room
let desk
let phone

before(async () => {
  server = await new Server().start()
  room = (await server.group('Boiler', alice, bob, carol)).id
  for (const content of ['The boiler is cold', 'The roof leaks'])
    await server.call(alice, 'POST', 'messages/', { room, content })
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
  await enter(desk, 'Boiler')
  await enter(phone, 'Boiler')
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const panel = page => page.locator('chat-thread')
const reply = (page, text) => panel(page).locator(`chat-message:has-text("${text}")`).last()
/** The button below a message that opens its thread. */
const opener = (page, text) => message(page.locator('chat-timeline'), text).locator('chat-foot .thread')

async function replies(page, text) {
  await panel(page).locator('chat-composer textarea').fill(text)
  await panel(page).locator('chat-composer .send').click()
  await reply(page, text).waitFor()
}

async function close(page) {
  await panel(page).locator('header').getByLabel('Close').click()
  await panel(page).waitFor({ state: 'detached' })
}

test('a reply in a thread stands beside the room, and not in it', async () => {
  await act(desk, 'The boiler is cold', 'Reply in thread')
  await panel(desk).getByText('No replies yet').waitFor()
  await reply(desk, 'The boiler is cold').waitFor()
  const main = await desk.locator('chat-conversation .main').boundingBox()
  const side = await panel(desk).boundingBox()
  assert.ok(side.x >= main.x + main.width - 1 && main.width > 300, 'it is beside the timeline')
  await replies(desk, 'I am on my way')
  await panel(desk).locator('.divider:has-text("1 reply")').waitFor()
  await opener(desk, 'The boiler is cold').getByText('1 reply').waitFor()
  const shown = await texts(desk.locator('chat-timeline'))
  assert.deepEqual(shown, ['The boiler is cold', 'The roof leaks'])
})

test('on a phone the thread takes the whole width, and replies are live on both sides', async () => {
  await opener(phone, 'The boiler is cold').getByText('1 reply').waitFor()
  assert.deepEqual(await texts(phone.locator('chat-timeline')), ['The boiler is cold', 'The roof leaks'])
  const target = await opener(phone, 'The boiler is cold').boundingBox()
  assert.ok(target.height >= 44, `${target.height} px high`)
  await opener(phone, 'The boiler is cold').tap()
  await reply(phone, 'I am on my way').waitFor()
  const box = await settledBox(panel(phone))
  assert.ok(box.x === 0 && box.width === 390, JSON.stringify(box))
  await replies(phone, 'Take the blue key')
  await reply(desk, 'Take the blue key').waitFor()
  await replies(desk, 'Which blue key?')
  await reply(phone, 'Which blue key?').waitFor()
  await opener(desk, 'The boiler is cold').getByText('3 replies').waitFor()
})

test('a reply that is also for the room is shown there, and leads to its thread', async () => {
  const box = panel(desk).getByLabel('Also show in the room')
  await box.check()
  await replies(desk, 'It is warm again')
  await message(desk.locator('chat-timeline'), 'It is warm again').waitFor()
  await close(desk)
  await opener(desk, 'It is warm again').getByText('In a thread').click()
  await reply(desk, 'It is warm again').waitFor()
  await reply(phone, 'It is warm again').waitFor()
})

test('replies are edited, reacted to and deleted in their thread', async () => {
  await panel(desk).locator('chat-composer textarea').press('ArrowUp')
  await panel(desk).locator('chat-composer textarea').fill('It is warm now')
  await panel(desk).locator('chat-composer .send').click()
  await reply(phone, 'It is warm now').waitFor()
  await message(desk.locator('chat-timeline'), 'It is warm now').waitFor()
  await reply(desk, 'Which blue key?')
    .locator('.bubble')
    .click({ button: 'right', position: { x: 8, y: 8 } })
  const menu = panel(desk).locator('chat-actions')
  assert.equal(await menu.getByText('Reply in thread').count(), 0)
  await menu.locator('chat-quick-reactions button').first().click()
  await reply(phone, 'Which blue key?').locator('chat-reactions button').first().waitFor()
  await reply(desk, 'Which blue key?')
    .locator('.bubble')
    .click({ button: 'right', position: { x: 8, y: 8 } })
  await menu.locator('[role=menuitem]:has-text("Delete")').click()
  await menu.getByText('Delete this message for everyone?').waitFor()
  await menu.locator('[role=menuitem]:has-text("Delete")').click()
  await reply(phone, 'This message was deleted').waitFor()
  await opener(desk, 'The boiler is cold').getByText('3 replies').waitFor()
})

test('a reply that is written without a connection is sent when it is back', async () => {
  await desk.context().setOffline(true)
  await replies(desk, 'Written in the cellar')
  await panel(desk)
    .locator('chat-message:has-text("Written in the cellar"):has-text("Waiting to be sent")')
    .waitFor()
  assert.equal(await message(desk.locator('chat-timeline'), 'Written in the cellar').count(), 0)
  await server.call(bob, 'POST', 'messages/', {
    room,
    content: 'Are you there?',
    thread_root: (await server.call(bob, 'GET', `threads/?room=${room}`)).results[0].id,
    in_timeline: false,
  })
  await desk.context().setOffline(false)
  await reply(phone, 'Written in the cellar').waitFor()
  await reply(desk, 'Are you there?').waitFor()
  await reply(desk, 'Written in the cellar').locator('.meta:not(:has-text("Waiting"))').waitFor()
})

test('unread replies are counted, listed, and read by opening their thread', async () => {
  await close(desk)
  await close(phone)
  await phone.locator('chat-conversation header .icon').first().tap()
  await phone.locator('chat-room-list:not([inert])').waitFor()
  const [root] = (await server.call(alice, 'GET', `threads/?room=${room}`)).results
  await server.call(carol, 'POST', 'messages/', {
    room,
    content: 'The pressure is low',
    thread_root: root.id,
    in_timeline: false,
  })
  // The room of the desk is open: its frames count. The phone reads the list when it connects.
  await opener(desk, 'The boiler is cold').getByText('1 unread').waitFor()
  await desk.locator('chat-threads-button').getByLabel('Threads, unread replies: 1').waitFor()
  await phone.reload()
  await phone.locator('chat-room-list header .me:has-text("Threads, unread replies: 1")').tap()
  await phone.locator('chat-room-list [role=menuitem]:has-text("Threads"):has-text("1 unread")').tap()
  const item = phone.locator('chat-threads .item:has-text("The boiler is cold")')
  await item.getByText('1 unread').waitFor()
  await item.getByText('Boiler').first().waitFor()
  await item.tap()
  await reply(phone, 'The pressure is low').waitFor()
  await desk.locator('chat-threads-button button').click()
  await desk.locator('chat-room-threads .item:has-text("The boiler is cold"):has-text("1 unread")').click()
  await reply(desk, 'The pressure is low').waitFor()
  await opener(desk, 'The boiler is cold').getByText('1 unread').waitFor({ state: 'detached' })
  await desk.locator('chat-threads-button button[aria-label="Threads"]').waitFor()
})

test('Escape and the browser’s back close the thread', async () => {
  await panel(desk).locator('chat-composer textarea').press('Escape')
  await panel(desk).waitFor({ state: 'detached' })
  await phone.goBack()
  await panel(phone).waitFor({ state: 'detached' })
  await phone.locator('chat-conversation').waitFor()
})

test('the tag has threads as well', async () => {
  const body = `<!doctype html><html lang="en"><title>Room</title><meta name="viewport" content="width=device-width, initial-scale=1">
    <chat-room room="${room}" token="${tokenOf(carol)}"></chat-room>
    <script type="module" src="${server.url}/chat-room.js"></script></html>`
  const stop = await host(server, { '/': { headers: { 'Content-Type': 'text/html' }, body } })
  try {
    const page = await open({ url: server.foreign }, null, PHONE, '/')
    await opener(page, 'The boiler is cold').tap()
    await reply(page, 'The pressure is low').waitFor()
    await replies(page, 'Written in a tag')
    await opener(desk, 'The boiler is cold').getByText('1 unread').waitFor()
    assert.deepEqual(page.faults, [])
    await page.context().close()
  } finally {
    await stop()
  }
})

for (const [name, options] of [
  ['desk', DESK],
  ['phone', PHONE],
]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`threads are accessible: ${name}, ${colorScheme}`, async () => {
      const page = await open(server, alice, { ...options, colorScheme, reducedMotion: 'reduce' })
      await page.evaluate(SOURCE)
      await enter(page, 'Boiler')
      await opener(page, 'The boiler is cold').click()
      await reply(page, 'Take the blue key').waitFor()
      const found = [await violations(page, 'thread')]
      await close(page)
      await page.locator('chat-threads-button button').click()
      await page.locator('chat-room-threads .item').first().waitFor()
      found.push(await violations(page, 'threads of the room'))
      await page.goBack()
      if (name === 'phone') await page.locator('chat-conversation header .icon').first().click()
      await page.locator('chat-room-list header .me').click()
      await page.locator('chat-room-list [role=menuitem]:has-text("Threads")').click()
      await page.locator('chat-threads .item').first().waitFor()
      found.push(await violations(page, 'threads'))
      assert.deepEqual(found.flat(), [])
      assert.deepEqual(page.faults, [])
      await page.context().close()
    })
  }
}

test('a reply that stands in its thread alone is opened there, by its address and by a search', async () => {
  const { id } = await server.group('Pump', alice, bob)
  const root = await server.call(alice, 'POST', 'messages/', { room: id, content: 'The pump is loud' })
  const { seq } = await server.call(bob, 'POST', 'messages/', {
    room: id,
    content: 'The valve is stuck',
    thread_root: root.id,
    in_timeline: false,
  })
  for (const options of [DESK, PHONE]) {
    const page = await open(server, alice, options, `/chat/r/${id}/${seq}`)
    await reply(page, 'The valve is stuck').waitFor()
    await close(page)
    await page.waitForURL(`${server.url}/chat/r/${id}`)
    await page.locator('chat-conversation header').getByLabel('Search in this room').click()
    await page.locator('chat-search input[type=search]').fill('valve')
    await page.locator('chat-search .hit:has-text("The valve is stuck")').click()
    await reply(page, 'The valve is stuck').waitFor()
    assert.equal(await page.locator('chat-timeline .jump').count(), 0, 'the room stays at its end')
    assert.deepEqual(page.faults, [])
    await page.context().close()
  }
})

test('in a thread one mentions and waits as in its room, and writes only where one may', async () => {
  const { id } = await server.group('Gate', alice, bob)
  const root = await server.call(alice, 'POST', 'messages/', { room: id, content: 'The gate squeaks' })
  const page = await open(server, bob, DESK)
  await enter(page, 'Gate')
  await act(page, 'The gate squeaks', 'Reply in thread')
  const area = panel(page).locator('textarea')
  await area.pressSequentially('I oil it, @ali')
  await panel(page).locator('[role=option]:has-text("Alice Stone")').waitFor()
  await page.keyboard.press('Enter')
  await page.keyboard.press('Enter')
  await reply(page, 'I oil it').locator('.meta:not(:has-text("Waiting"))').waitFor()
  const { results } = await server.call(alice, 'GET', `messages/?thread=${root.id}`)
  const sent = results.find(one => one.content.startsWith('I oil it'))
  assert.deepEqual(sent.mentions.users, [alice.user_id])
  await server.call(alice, 'PATCH', `rooms/${id}/`, { slow_mode_seconds: 60 })
  await panel(page).getByText('you can write again in').waitFor()
  await area.fill('And then')
  assert.equal(await panel(page).locator('.send').isDisabled(), true)
  await server.call(alice, 'PATCH', `rooms/${id}/`, { posting: 'admins' })
  await panel(page).getByText('Only admins can write here.').waitFor()
  await area.waitFor({ state: 'hidden' })
  await close(page)
  await page.locator('.main').getByText('Only admins can write here.').waitFor()
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('nothing has failed on the way', () => {
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})
