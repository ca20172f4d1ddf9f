/** The settings of a room, and what they leave to its participants. */
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
  openActions,
  PEOPLE,
  PHONE,
  Server,
  says,
  violations,
} from './harness.mjs'

const { alice, bob } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
let server

before(async () => {
  server = await new Server().start()
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** Opens the settings of the room that is shown. */
async function openSettings(page) {
  await page.locator('chat-conversation header .who').click()
  await page.getByRole('tab', { name: 'Settings' }).click()
}

const settings = page => page.locator('chat-room-settings')

for (const [size, options] of Object.entries({ desk: DESK, phone: PHONE })) {
  const touch = size === 'phone'

  test(`an admin changes the settings, everyone else reads them, ${size}`, async () => {
    const name = `Site ${size}`
    const { id } = await server.group(name, alice, bob)
    const admin = await open(server, alice, options)
    const member = await open(server, bob, options)
    for (const page of [admin, member]) {
      await enter(page, name)
      await openSettings(page)
    }
    await settings(admin).getByLabel('Description').fill('What the landlord announces')
    await settings(admin).getByRole('button', { name: 'Save' }).click()
    await settings(admin).getByText('Saved.').waitFor()
    await settings(member).getByText('What the landlord announces').waitFor()
    assert.equal(await settings(member).locator('select, textarea').count(), 0)
    for (const [label, value] of [
      ['Who may write', 'Admins only'],
      ['Slow mode', '1 minute'],
      ['Who may pin messages', 'Admins only'],
      ['What new people can read', 'Messages from when they join'],
      ['Earlier texts of edited messages', 'Hidden'],
      ['Who may mark messages as urgent', 'Nobody'],
    ]) {
      await settings(admin).getByLabel(label).selectOption(value)
      await settings(member).locator(`div:has(> dt:text-is("${label}")) dd:text-is("${value}")`).waitFor()
    }
    const room = await server.call(bob, 'GET', `rooms/${id}/`)
    assert.deepEqual(
      [room.posting, room.slow_mode_seconds, room.pinning, room.history, room.edit_history, room.urgent],
      ['admins', 60, 'admins', 'joined', false, 'nobody'],
    )
    await admin.route('**/api/chat/rooms/*/', route =>
      route.request().method() === 'PATCH'
        ? route.fulfill({ status: 403, json: { code: 'forbidden' } })
        : route.continue(),
    )
    await settings(admin).getByLabel('Who may write').selectOption('Everyone')
    await settings(admin).getByText('You are not allowed to do that.').waitFor()
    assert.equal(
      await settings(admin)
        .getByLabel('Who may write')
        .evaluate(one => one.selectedOptions[0].text),
      'Admins only',
    )
    assert.deepEqual([admin.faults, member.faults], [[], []])
    await admin.context().close()
    await member.context().close()
  })

  test(`where only admins write, others are told so, ${size}`, async () => {
    const name = `News ${size}`
    const { id } = await server.group(name, alice, bob)
    await server.call(alice, 'POST', 'messages/', { room: id, content: 'The heating is off' })
    const page = await open(server, bob, options)
    await enter(page, name)
    await page.locator('chat-composer textarea').fill('A draft')
    await server.call(alice, 'PATCH', `rooms/${id}/`, { posting: 'admins' })
    await page.getByText('Only admins can write here.').waitFor()
    await page.locator('chat-composer textarea').waitFor({ state: 'hidden' })
    await page.reload()
    if (touch) await page.locator('chat-conversation').waitFor()
    await page.getByText('Only admins can write here.').waitFor()
    const [{ id: participant }] = (
      await server.call(alice, 'GET', `participants/?room=${id}&user=${bob.user_id}`)
    ).results
    await server.call(alice, 'PATCH', `participants/${participant}/`, { is_admin: true })
    await page.locator('chat-composer textarea').waitFor()
    assert.equal(await page.locator('chat-composer textarea').inputValue(), 'A draft')
    await page.locator('chat-composer .send').click()
    await message(page, 'A draft').waitFor()
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`slow mode counts down before one can write again, and keeps what was typed, ${size}`, async () => {
    const name = `Slow ${size}`
    const { id } = await server.group(name, alice, bob)
    const page = await open(server, bob, options)
    await enter(page, name)
    await server.call(alice, 'PATCH', `rooms/${id}/`, { slow_mode_seconds: 5 })
    await page.getByText('The room was changed').waitFor()
    await says(page, 'First')
    await page.locator('chat-post-area').getByText('you can write again in 0:0').waitFor()
    await page.locator('chat-composer textarea').fill('Second')
    assert.equal(await page.locator('chat-composer .send').isDisabled(), true)
    await page.keyboard.press('Enter')
    assert.match(await page.locator('chat-composer textarea').inputValue(), /^Second/)
    await page.locator('chat-composer textarea').fill('Second')
    await page.locator('chat-composer .send:not([disabled])').click()
    await message(page, 'Second').waitFor()
    // From another device, so that this page does not know of it.
    await page.locator('chat-post-area .line').waitFor({ state: 'detached' })
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`a message that slow mode refuses waits, and is sent when its time has come, ${size}`, async () => {
    const name = `Late ${size}`
    const { id } = await server.group(name, alice, bob)
    await server.call(alice, 'PATCH', `rooms/${id}/`, { slow_mode_seconds: 4 })
    const page = await open(server, bob, options)
    await enter(page, name)
    await page.context().setOffline(true)
    await page.locator('chat-conversation .bar').waitFor()
    await says(page, 'From the cellar')
    await server.call(bob, 'POST', 'messages/', { room: id, content: 'From my other phone' })
    await page.context().setOffline(false)
    await page.locator('chat-post-area').getByText('your message will be sent in').waitFor()
    await message(page, 'From the cellar').waitFor()
    const sent = message(page, 'From the cellar').locator('.unseen:text-is("Sent")')
    await sent.waitFor({ state: 'attached' })
    const { results } = await server.call(bob, 'GET', `messages/?room=${id}`)
    assert.equal(results.length, 2)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`an admin removes what someone else has written, with a reason, ${size}`, async () => {
    const name = `Clean ${size}`
    const { id } = await server.group(name, alice, bob)
    await server.call(bob, 'POST', 'messages/', { room: id, content: 'Something rude' })
    await server.call(alice, 'POST', 'messages/', { room: id, content: 'Something nice' })
    const admin = await open(server, alice, options)
    const member = await open(server, bob, options)
    await enter(admin, name)
    await enter(member, name)
    await act(admin, 'Something rude', 'Delete', touch)
    await admin.locator('chat-actions #reason').fill('Against the rules')
    await admin.locator('chat-actions [role=menuitem]:has-text("Delete")').click()
    await message(member, 'This message was removed by an admin').waitFor()
    await openActions(member, 'Something nice', touch)
    await member.locator('chat-actions [role=menuitem]:text-is("Reply")').waitFor()
    assert.equal(await member.locator('chat-actions [role=menuitem]:has-text("Delete")').count(), 0)
    assert.deepEqual([admin.faults, member.faults], [[], []])
    await admin.context().close()
    await member.context().close()
  })

  for (const colorScheme of ['light', 'dark']) {
    test(`settings and what they show are accessible, ${size}, ${colorScheme}`, async () => {
      const name = `Look ${size} ${colorScheme}`
      const { id } = await server.group(name, alice, bob)
      const description = 'For everyone who works on the house'
      await server.call(alice, 'PATCH', `rooms/${id}/`, { description, slow_mode_seconds: 600 })
      const found = []
      for (const user of [alice, bob]) {
        const page = await open(server, user, { ...options, colorScheme, reducedMotion: 'reduce' })
        await page.evaluate(SOURCE)
        const shot = view =>
          process.env.SHOTS &&
          page.screenshot({
            path: `${process.env.SHOTS}/settings-${view}-${user.username}-${size}-${colorScheme}.png`,
          })
        await enter(page, name)
        if (user === bob) {
          await says(page, 'Here I am')
          await page.locator('chat-post-area .line').waitFor()
          found.push(await violations(page, 'slow mode'))
          await shot('slow')
        }
        await openSettings(page)
        await settings(page)
          .getByText(user === alice ? 'Description' : description)
          .waitFor()
        found.push(await violations(page, 'settings'))
        await shot('all')
        if (user === bob) {
          await page.keyboard.press('Escape')
          await server.call(alice, 'PATCH', `rooms/${id}/`, { posting: 'admins' })
          await page.getByText('Only admins can write here.').waitFor()
          found.push(await violations(page, 'announcements'))
          await shot('announcements')
        }
        assert.deepEqual(page.faults, [])
        await page.context().close()
      }
      assert.deepEqual(found.flat(), [])
    })
  }
}
