/** What comes at a time of the user's choice: scheduled messages, reminders, and the notices about both. */
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
  openActions,
  PEOPLE,
  PHONE,
  Server,
  tokenOf,
  violations,
} from './harness.mjs'

const { alice, bob } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
const SIZES = { desk: DESK, phone: PHONE }
let server
let room
let attic

before(async () => {
  server = await new Server().start()
  room = (await server.group('Office', alice, bob)).id
  attic = (await server.group('Attic', alice, bob)).id
  await server.call(bob, 'POST', 'messages/', { room, content: 'The lamp is broken' })
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const soon = ms => new Date(Date.now() + ms).toISOString()
const scheduled = page => page.locator('chat-scheduled')
const item = (page, text) => scheduled(page).locator(`li:has-text("${text}")`)
const write = (page, text) => page.locator('chat-composer textarea').fill(text)

/** Opens the times at which a message can be sent: by the other button of the mouse, or in the menu. */
async function openLater(page, menu) {
  if (menu) {
    await page.locator('chat-composer').getByLabel('Attach a file').click()
    await page.locator('chat-attach [role=menuitem]:has-text("Send later")').click()
  } else await page.locator('chat-composer .send').click({ button: 'right' })
  await page.locator('chat-later h2').waitFor()
}

async function openMenu(page, text) {
  await page.locator('chat-room-list header .me').click()
  await page.locator(`chat-room-list [role=menuitem]:has-text("${text}")`).click()
}

for (const [size, options] of Object.entries(SIZES)) {
  const touch = size === 'phone'

  test(`${size}: a text is sent later, changed, sent now, and once`, async () => {
    const page = await open(server, alice, options)
    await enter(page, 'Office')
    await write(page, `Later from the ${size}`)
    await openLater(page, touch)
    await page.locator('chat-when [role=menuitem]:has-text("Tomorrow morning")').click()
    await item(page, `Later from the ${size}`).waitFor()
    assert.equal(await page.locator('chat-composer textarea').inputValue(), '')
    const [kept] = (await server.call(alice, 'GET', 'scheduled/')).results
    const at = new Date(kept.at)
    assert.equal(kept.content, `Later from the ${size}`)
    const hour = await page.evaluate(time => new Date(time).getHours(), at.toISOString())
    assert.equal(hour, 9)
    await item(page, `Later from the ${size}`).getByText('Change').click()
    await scheduled(page).locator('textarea').fill(`Changed on the ${size}`)
    await scheduled(page).locator('chat-when button').click()
    await item(page, `Changed on the ${size}`).getByText('Send now').click()
    await item(page, `Changed on the ${size}`).waitFor({ state: 'detached' })
    await page.goto(`${server.url}/chat/`)
    await enter(page, 'Office')
    await message(page, `Changed on the ${size}`)
      .locator('.meta:not(:has-text("Waiting"))')
      .waitFor({ state: 'attached' })
    const { results } = await server.call(alice, 'GET', `messages/?room=${room}&page_size=50`)
    assert.equal(results.filter(one => one.content === `Changed on the ${size}`).length, 1)
    assert.equal((await server.call(alice, 'GET', 'scheduled/')).results.length, 0)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`${size}: a time of one's own, and a message that is withdrawn`, async () => {
    const page = await open(server, alice, options)
    await enter(page, 'Office')
    await openLater(page, true)
    await page.getByText('Write the message first').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('chat-later').waitFor({ state: 'detached' })
    await write(page, `At my time, ${size}`)
    await openLater(page, touch)
    await page.locator('chat-when [role=menuitem]:has-text("Choose a time")').click()
    const input = page.locator('chat-when input')
    await input.fill('2020-01-01T10:00')
    await page.locator('chat-when form').evaluate(form => {
      form.noValidate = true
    })
    await page.locator('chat-when form button').click()
    await page.getByText('Choose a time ahead, within a year.').waitFor()
    await input.fill(
      await page.evaluate(() => {
        const at = new Date(Date.now() + 3 * 86_400_000)
        return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
      }),
    )
    await page.locator('chat-when form button').click()
    await item(page, `At my time, ${size}`).waitFor()
    await item(page, `At my time, ${size}`).getByText('Delete').click()
    await scheduled(page).getByText('Nothing is scheduled.').waitFor()
    assert.equal((await server.call(alice, 'GET', 'scheduled/')).results.length, 0)
    await page.context().close()
  })

  test(`${size}: a scheduled message arrives while the page is open, and a refused one is told of`, async () => {
    const page = await open(server, alice, options)
    await enter(page, 'Office')
    await server.call(alice, 'POST', 'scheduled/', { room, content: `On time, ${size}`, at: soon(1_500) })
    const refused = { room: attic, content: `Into the attic, ${size}`, at: soon(2_500) }
    await server.call(alice, 'POST', 'scheduled/', refused)
    await server.call(alice, 'POST', `rooms/${attic}/archive/`)
    await message(page, `On time, ${size}`).waitFor()
    const notice = page.locator(`chat-notices .notice:has-text("Into the attic, ${size}")`)
    await notice.getByText('The room is archived.').waitFor()
    await notice.getByText('Show').click()
    await item(page, 'Into the attic').getByText('Not sent.').waitFor()
    await server.call(alice, 'POST', `rooms/${attic}/unarchive/`)
    await item(page, 'Into the attic').getByText('Delete').click()
    await item(page, 'Into the attic').waitFor({ state: 'detached' })
    await page.keyboard.press('Escape')
    await notice.waitFor({ state: 'detached' })
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`${size}: reminders are made, listed, removed, and come as a notice that opens the message`, async () => {
    const page = await open(server, alice, options)
    await enter(page, 'Office')
    await act(page, 'The lamp is broken', 'Remind me', touch)
    await page.locator('chat-actions chat-when [role=menuitem]:has-text("In an hour")').click()
    await page.locator('chat-actions').waitFor({ state: 'detached' })
    if (touch) await page.locator('chat-conversation header .icon').first().tap()
    await openMenu(page, 'Reminders')
    const reminders = page.locator('chat-reminders')
    await reminders.locator('.item:has-text("The lamp is broken"):has-text("Office")').waitFor()
    await reminders.getByLabel('Remove reminder').click()
    await reminders.getByText('No reminders.').waitFor()
    await page.keyboard.press('Escape')
    await reminders.waitFor({ state: 'detached' })
    if (!touch) await enter(page, 'Attic')
    const lamp = (await server.call(alice, 'GET', `messages/?room=${room}&ordering=created_at`)).results[0]
    await server.call(alice, 'POST', 'reminders/', { message_id: lamp.id, at: soon(1_500) })
    const notice = page.locator('chat-notices .notice:has-text("The lamp is broken")')
    await notice.getByText('Open').click()
    await message(page, 'The lamp is broken').waitFor()
    await notice.waitFor({ state: 'detached' })
    await page.waitForURL(/\/chat\/r\//)
    assert.equal((await server.call(alice, 'GET', 'reminders/')).results.length, 0)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`${size}: the menu of a saved message removes it from the saved ones`, async () => {
    const page = await open(server, alice, options)
    await enter(page, 'Office')
    await act(page, 'The lamp is broken', 'Save for later', touch)
    await openActions(page, 'The lamp is broken', touch)
    await page.locator('chat-actions [role=menuitem]:has-text("Remove from saved messages")').click()
    await page.locator('chat-actions').waitFor({ state: 'detached' })
    await openActions(page, 'The lamp is broken', touch)
    await page.locator('chat-actions [role=menuitem]:has-text("Save for later")').waitFor()
    assert.equal((await server.call(alice, 'GET', 'saved/')).results.length, 0)
    await page.context().close()
  })
}

test('what is being changed stays as it is while the list changes', async () => {
  const page = await open(server, alice, DESK)
  await enter(page, 'Office')
  const post = (content, ms) => server.call(alice, 'POST', 'scheduled/', { room, content, at: soon(ms) })
  const { id } = await post('Second', 7_200_000)
  await openMenu(page, 'Scheduled messages')
  await item(page, 'Second').getByText('Change').click()
  const text = scheduled(page).locator('textarea')
  const time = scheduled(page).locator('chat-when input')
  const chosen = await page.evaluate(() => {
    const at = new Date(Date.now() + 5 * 86_400_000)
    return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
  })
  await text.fill('Second, as changed')
  await time.fill(chosen)
  await post('First', 3_600_000)
  await item(page, 'First').waitFor()
  // Another device sets another time.
  await server.call(alice, 'PATCH', `scheduled/${id}/`, { at: soon(1_800_000) })
  await scheduled(page).locator('li:first-child textarea').waitFor()
  assert.deepEqual([await text.inputValue(), await time.inputValue()], ['Second, as changed', chosen])
  await scheduled(page).locator('chat-when form button').click()
  await text.waitFor({ state: 'detached' })
  const kept = (await server.call(alice, 'GET', 'scheduled/')).results
  assert.deepEqual(kept.map(one => one.content).toSorted(), ['First', 'Second, as changed'])
  for (const one of kept) await server.call(alice, 'DELETE', `scheduled/${one.id}/`)
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('a text with a mention that is to be sent later says that it notifies nobody', async () => {
  const page = await open(server, alice, DESK)
  await enter(page, 'Office')
  await write(page, 'Good morning')
  await openLater(page, false)
  await page.locator('chat-when').waitFor()
  assert.equal(await page.getByText('are not notified').count(), 0)
  await page.keyboard.press('Escape')
  await page.locator('chat-later').waitFor({ state: 'detached' })
  await write(page, 'Good morning @bob')
  await openLater(page, false)
  await page.getByText('are not notified').waitFor()
  await page.keyboard.press('Escape')
  await page.locator('chat-later').waitFor({ state: 'detached' })
  await write(page, '')
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('a reminder that came while nobody was there is shown at the next visit, on all devices until it is done', async () => {
  const lamp = (await server.call(alice, 'GET', `messages/?room=${room}&ordering=created_at`)).results[0]
  const { id } = await server.call(alice, 'POST', 'reminders/', { message_id: lamp.id, at: soon(300) })
  for (let tries = 0; tries < 100; tries++) {
    if ((await server.call(alice, 'GET', `reminders/${id}/`)).fired_at) break
    await new Promise(done => setTimeout(done, 100))
  }
  const body = `<!doctype html><html lang="en"><title>Room</title><meta name="viewport" content="width=device-width, initial-scale=1">
    <main><h1>Room</h1><chat-room room="${room}" token="${tokenOf(alice)}"></chat-room></main>
    <script type="module" src="${server.url}/chat-room.js"></script></html>`
  const stop = await host(server, { '/': { headers: { 'Content-Type': 'text/html' }, body } })
  try {
    const page = await open(server, alice, DESK)
    const tag = await open({ url: server.foreign }, null, PHONE, '/')
    for (const one of [page, tag]) {
      await one.evaluate(SOURCE)
      await one.locator('chat-notices .notice:has-text("The lamp is broken")').waitFor()
      assert.deepEqual(await violations(one, 'notice'), [])
    }
    await page.locator('chat-notices').getByText('Done').click()
    for (const one of [page, tag]) await one.locator('chat-notices .notice').waitFor({ state: 'detached' })
    assert.deepEqual([page.faults, tag.faults], [[], []])
    await page.context().close()
    await tag.context().close()
  } finally {
    await stop()
  }
})

for (const [size, options] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark']) {
    test(`what comes later is accessible: ${size}, ${colorScheme}`, async () => {
      const touch = size === 'phone'
      const page = await open(server, bob, { ...options, colorScheme, reducedMotion: 'reduce' })
      await page.evaluate(SOURCE)
      await enter(page, 'Office')
      await write(page, 'Good morning')
      await openLater(page, touch)
      await page.locator('chat-when [role=menuitem]').first().waitFor()
      const found = [await violations(page, 'send later')]
      await page.locator('chat-when [role=menuitem]:has-text("Choose a time")').click()
      await page.locator('chat-when input').waitFor()
      found.push(await violations(page, 'own time'))
      await page.locator('chat-when form button').click()
      await item(page, 'Good morning').waitFor()
      found.push(await violations(page, 'scheduled'))
      await item(page, 'Good morning').getByText('Change').click()
      await scheduled(page).locator('textarea').waitFor()
      found.push(await violations(page, 'change'))
      await page.keyboard.press('Escape')
      await scheduled(page).waitFor({ state: 'detached' })
      await openActions(page, 'The lamp is broken', touch)
      await page.locator('chat-actions [role=menuitem]:has-text("Remind me")').click()
      await page.locator('chat-actions chat-when [role=menuitem]').first().waitFor()
      found.push(await violations(page, 'remind me'))
      await page.locator('chat-actions chat-when [role=menuitem]').first().click()
      await page.locator('chat-actions').waitFor({ state: 'detached' })
      if (touch) await page.locator('chat-conversation header .icon').first().click()
      await openMenu(page, 'Reminders')
      await page.locator('chat-reminders .item:has-text("The lamp is broken")').first().waitFor()
      found.push(await violations(page, 'reminders'))
      assert.deepEqual(found.flat(), [])
      assert.deepEqual(page.faults, [])
      for (const one of (await server.call(bob, 'GET', 'scheduled/')).results)
        await server.call(bob, 'DELETE', `scheduled/${one.id}/`)
      await page.context().close()
    })
  }
}
