/** The bell with its list, the settings of notifications, and why the user was told. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { AXE, act, closeBrowser, DESK, enter, open, PEOPLE, PHONE, Server, violations } from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
const SIZES = { desk: DESK, phone: PHONE }
let server
let office

before(async () => {
  server = await new Server().start()
  office = (await server.group('Office', alice, bob, carol)).id
  for (const user of [alice, carol])
    await server.call(user, 'PUT', 'notifications/settings/', { delay_seconds: 0 })
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const bell = page => page.locator('chat-bell > button, chat-bell button.icon').first()
const count = page => page.locator('chat-bell .count')
const feed = page => page.locator('chat-notification-feed')
const settings = page => page.locator('chat-notification-settings')
const saved = (user = alice) => server.call(user, 'GET', 'notifications/settings/')

async function openSettings(page) {
  await page.locator('chat-room-list header .me').click()
  await page.locator('chat-room-list [role=menuitem]:text-is("Notifications")').click()
  await settings(page).locator('select').first().waitFor()
}

/** Has Alice read all that she was told. */
async function readAll() {
  const [last] = (await server.call(alice, 'GET', 'notifications/?unread=true')).results
  if (last) await server.call(alice, 'POST', 'notifications/read/', { up_to: last.id })
}

/** Waits until `claim` holds of the settings at the server. */
async function settled(claim) {
  for (let tries = 0; tries < 100; tries++) {
    if (claim(await saved())) return
    await new Promise(done => setTimeout(done, 50))
  }
  assert.fail(JSON.stringify(await saved()))
}

for (const [size, options] of Object.entries(SIZES)) {
  const touch = size === 'phone'

  test(`${size}: the bell counts, lists, opens and forgets what is read, live`, async () => {
    const names = ['Roof', 'Cellar', 'Garden'].map(name => `${name} ${size}`)
    const rooms = []
    await readAll()
    for (const name of names) rooms.push((await server.group(name, alice, bob)).id)
    const page = await open(server, alice, options)
    await page.locator(`button.room:has-text("Garden ${size}")`).waitFor()
    assert.equal(await count(page).count(), 0)
    for (const [at, room] of rooms.entries())
      await server.call(bob, 'POST', 'messages/', { room, content: `Word ${at}` })
    await count(page).filter({ hasText: '3' }).waitFor()
    await bell(page).click()
    await feed(page).locator('li').nth(2).waitFor()
    const mention = { room: rooms[0], content: '@alice come up', mentions: [alice.user_id] }
    await server.call(bob, 'POST', 'messages/', mention)
    await feed(page)
      .locator('li')
      .first()
      .filter({ hasText: `Mention: ` })
      .filter({ hasText: names[0] })
      .waitFor()
    assert.equal(await feed(page).locator('li').count(), 3)
    await server.call(alice, 'POST', `rooms/${rooms[1]}/mark_read/`)
    await feed(page).locator(`li:has-text("${names[1]}")`).waitFor({ state: 'detached' })
    await feed(page).locator(`li button:has-text("${names[0]}")`).click()
    await page.locator('chat-message[marked]:has-text("come up")').waitFor()
    await feed(page).waitFor({ state: 'detached' })
    if (touch) await page.locator('chat-conversation header .icon').first().tap()
    await count(page).filter({ hasText: '1' }).waitFor()
    await bell(page).click()
    await feed(page).getByText('Mark all as read').click()
    await feed(page).getByText('You are up to date').waitFor()
    await page.keyboard.press('Escape')
    await feed(page).waitFor({ state: 'detached' })
    assert.equal(await count(page).count(), 0)
    const { count: left } = await server.call(alice, 'GET', 'notifications/?unread=true')
    assert.equal(left, 0)
    // The messages are unread nevertheless.
    await page.locator(`button.room.unread:has-text("${names[2]}")`).waitFor()
    await server.call(alice, 'POST', `rooms/${rooms[2]}/mark_read/`)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`${size}: settings are saved, and wrong ones say what is wrong`, async () => {
    const page = await open(server, alice, options)
    await page.locator('button.room').first().waitFor()
    await openSettings(page)
    await settings(page).locator('select').first().selectOption('5 minutes')
    await settled(({ delay_seconds }) => delay_seconds === 300)
    await settings(page).locator('select').first().selectOption('Not at all')
    await settled(({ delay_seconds }) => delay_seconds === 0)

    const quiet = page.locator('chat-quiet-hours')
    await quiet.getByRole('switch').click()
    await quiet.locator('input').first().fill('21:30')
    await quiet.locator('input').last().fill('21:30')
    await quiet.getByText('Save').click()
    await quiet.getByRole('alert').filter({ hasText: 'Choose two different times.' }).waitFor()
    await quiet.locator('input').last().fill('06:15')
    await quiet.getByText('They end on the next day.').waitFor()
    for (const day of ['Saturday', 'Sunday']) await quiet.getByRole('button', { name: day }).click()
    await quiet.locator('select').selectOption('Europe/Berlin')
    await quiet.getByText('Save').click()
    await quiet.getByText('Saved.').waitFor()
    assert.deepEqual((await saved()).quiet, {
      from: '21:30',
      to: '06:15',
      days: ['mon', 'tue', 'wed', 'thu', 'fri'],
      timezone: 'Europe/Berlin',
    })
    await quiet.getByRole('switch').click()
    await settled(one => one.quiet === null)

    const words = page.locator('chat-keywords')
    await words.locator('input').fill('boiler')
    await words.locator('input').press('Enter')
    await words.locator('li:has-text("boiler")').waitFor()
    await words.locator('input').fill('Boiler')
    await words.getByText('Add').click()
    await words.getByText('This word is there already.').waitFor()
    await settled(({ keywords }) => keywords.join() === 'boiler')
    await words.getByLabel('Remove “boiler”').click()
    await settled(({ keywords }) => keywords.length === 0)

    await settings(page).getByRole('switch', { name: 'Hide what messages say' }).click()
    await settled(({ hide_text }) => hide_text)
    await page.route('**/notifications/settings/', route =>
      route.request().method() === 'PUT'
        ? route.fulfill({ status: 400, json: { hide_text: ['Not today.'] } })
        : route.continue(),
    )
    await settings(page).getByRole('switch', { name: 'Hide what messages say' }).click()
    await settings(page).getByRole('alert').filter({ hasText: 'Not today.' }).waitFor()
    await page.unroute('**/notifications/settings/')
    await settings(page).getByRole('switch', { name: 'Hide what messages say' }).click()
    await settled(({ hide_text }) => !hide_text)
    await page.keyboard.press('Escape')
    await settings(page).waitFor({ state: 'detached' })
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`${size}: what one is told of in a room is chosen there, and listed in the settings`, async () => {
    const page = await open(server, alice, options)
    await enter(page, 'Office')
    await page.locator('chat-conversation header .who').click()
    await page.locator('[role=tab]:has-text("Settings")').click()
    const level = page.locator('chat-room-level select')
    await level.selectOption('Mentions and keywords only')
    await page.locator('chat-room-level').getByText('Saved.').waitFor()
    const { results } = await server.call(alice, 'GET', `participants/?room=${office}&user=${alice.user_id}`)
    assert.equal(results[0].level, 'mentions')
    await page.goto(`${server.url}/chat/`)
    await page.locator('button.room').first().waitFor()
    await openSettings(page)
    await settings(page).locator('.room:has-text("Office"):has-text("Mentions and keywords only")').click()
    await page.locator('chat-conversation h2:has-text("Office")').waitFor()
    await server.call(alice, 'PATCH', `participants/${results[0].id}/`, { level: 'all' })
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`${size}: the menu of a message says why one was told, and the list what is unread`, async () => {
    const told = await server.call(bob, 'POST', 'messages/', {
      room: office,
      content: `Look, Carol, ${size}`,
      mentions: [carol.user_id],
    })
    for (let tries = 0; tries < 100; tries++) {
      if ((await server.call(carol, 'GET', `messages/${told.id}/why/`)).told) break
      await new Promise(done => setTimeout(done, 100))
    }
    const page = await open(server, carol, options)
    await count(page).waitFor()
    await bell(page).click()
    await feed(page)
      .getByText(/^Why \d+ unread\?$/)
      .click()
    const unread = page.locator('chat-unread-why')
    await unread.locator('.room:has-text("Office"):has-text("Written after what you have read.")').click()
    await page.locator('chat-conversation h2:has-text("Office")').waitFor()
    await act(page, `Look, Carol, ${size}`, 'Why was I told, or not?', touch)
    const why = page.locator('chat-why')
    await why.getByText('You were told of this message.').waitFor()
    await why.getByText('It mentions you.').waitFor()
    await why.getByText('In the chat').waitFor()
    await page.keyboard.press('Escape')
    await why.waitFor({ state: 'detached' })
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })
}

test('the list and the settings are used by the keyboard alone', async () => {
  await readAll()
  const rooms = [await server.group('Attic', alice, bob), await server.group('Porch', alice, bob)]
  for (const { id } of rooms) await server.call(bob, 'POST', 'messages/', { room: id, content: 'Hello' })
  const page = await open(server, alice, DESK)
  await count(page).filter({ hasText: '2' }).waitFor()
  await bell(page).focus()
  await page.keyboard.press('Enter')
  await feed(page).locator('li button').first().focus()
  await page.keyboard.press('ArrowDown')
  await feed(page).locator('li:nth-child(2) button:focus').waitFor()
  await page.keyboard.press('Escape')
  await page.locator('chat-bell button.icon:focus').waitFor()
  for (const { id } of rooms) await server.call(alice, 'POST', `rooms/${id}/mark_read/`)
  await page.context().close()
})

test('the permission is asked for after a click only, and a refusal is explained', async () => {
  const page = await open(server, alice, DESK, null)
  await page.addInitScript(() => {
    let permission = 'default'
    window.asked = 0
    Object.defineProperty(Notification, 'permission', { get: () => permission })
    Notification.requestPermission = async () => {
      window.asked++
      permission = 'denied'
      return permission
    }
  })
  await page.goto(`${server.url}/chat/`)
  await page.locator('button.room').first().waitFor()
  await openSettings(page)
  const device = page.locator('chat-device-settings')
  await device.getByText('Get a notification here').waitFor()
  assert.equal(await page.evaluate(() => window.asked), 0)
  await device.getByText('Turn on').click()
  await device.getByText('This browser blocks notifications from this page.').waitFor()
  assert.equal(await page.evaluate(() => window.asked), 1)
  await page.context().close()
})

for (const [size, options] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark']) {
    test(`notifications are accessible: ${size}, ${colorScheme}`, async () => {
      const name = `Stairs ${size} ${colorScheme}`
      const { id } = await server.group(name, alice, bob)
      await server.call(alice, 'PUT', 'notifications/settings/', { keywords: ['boiler'], delay_seconds: 0 })
      const content = 'The boiler is broken again, and it is cold'
      await server.call(bob, 'POST', 'messages/', { room: id, content })
      const page = await open(server, alice, { ...options, colorScheme, reducedMotion: 'reduce' })
      const shot = view =>
        process.env.SHOTS &&
        page.screenshot({ path: `${process.env.SHOTS}/${view}-${size}-${colorScheme}.png` })
      await page.evaluate(SOURCE)
      await count(page).waitFor()
      const found = [await violations(page, 'bell')]
      await bell(page).click()
      await feed(page).locator(`li:has-text("${name}")`).waitFor()
      found.push(await violations(page, 'list'))
      await shot('feed')
      await feed(page)
        .getByText(/^Why \d+ unread\?$/)
        .click()
      await page.locator('chat-unread-why .room').first().waitFor()
      found.push(await violations(page, 'unread'))
      await shot('unread')
      await page.keyboard.press('Escape')
      await page.locator('chat-unread-why').waitFor({ state: 'detached' })
      await openSettings(page)
      await shot('settings')
      await page.locator('chat-quiet-hours').getByRole('switch').click()
      await page.locator('chat-quiet-hours input').first().waitFor()
      found.push(await violations(page, 'settings'))
      await page.locator('chat-quiet-hours select').scrollIntoViewIfNeeded()
      await shot('quiet')
      await page.keyboard.press('Escape')
      await settings(page).waitFor({ state: 'detached' })
      await readAll()
      await count(page).waitFor({ state: 'detached' })
      await bell(page).click()
      await feed(page).getByText('You are up to date').waitFor()
      found.push(await violations(page, 'empty list'))
      await shot('empty')
      await page.keyboard.press('Escape')
      await feed(page).waitFor({ state: 'detached' })
      await enter(page, name)
      await act(page, content, 'Why was I told, or not?', size === 'phone')
      await page.locator('chat-why').getByText('It has one of your keywords.').waitFor()
      found.push(await violations(page, 'why'))
      await shot('why')
      assert.deepEqual(found.flat(), [])
      assert.deepEqual(page.faults, [])
      await page.context().close()
    })
  }
}
