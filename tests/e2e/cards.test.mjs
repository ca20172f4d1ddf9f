/** Checklists and polls: made in the composer's menu, ticked with a thumb, live, and also without a connection. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import {
  AXE,
  closeBrowser,
  DESK,
  enter,
  message,
  open,
  PEOPLE,
  PHONE,
  Server,
  still,
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
  room = (await server.group('Turnover', alice, bob, carol)).id
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
  await enter(desk, 'Turnover')
  await enter(phone, 'Turnover')
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const card = (page, title) => page.locator(`chat-card:has-text("${title}")`).last()
const line = (page, title, text) => card(page, title).locator(`.line:has-text("${text}")`)
const checked = (page, title, text, is = true) =>
  card(page, title).locator(`.line[aria-checked=${is}]:has-text("${text}")`).waitFor()

/** Opens the form for a card, and fills it in. */
async function make(page, kind, title, lines) {
  await page.locator('chat-composer').getByLabel('Attach a file').click()
  await page.locator(`chat-attach [role=menuitem]:has-text("${kind}")`).click()
  const form = page.locator('chat-new-card form')
  await form.locator('input:focus').waitFor()
  await page.keyboard.type(title)
  await form.locator('.line').first().focus()
  for (const [index, text] of lines.entries()) {
    if (index > 0) await page.keyboard.press('Enter')
    await form.locator('.line').nth(index).and(form.locator(':focus')).waitFor()
    await page.keyboard.type(text)
  }
  return form
}

test('a checklist is made on a desk, and ticked by a thumb', async () => {
  const form = await make(desk, 'Checklist', 'Unit 4', [
    'Make the beds',
    'Take out the bins',
    'Clean the oven',
    'Lock',
  ])
  assert.equal(await form.locator('.line').count(), 4)
  await form.getByRole('button', { name: 'Send' }).click()
  await line(phone, 'Unit 4', 'Make the beds').waitFor()
  await still(line(phone, 'Unit 4', 'Lock'))
  for (const one of await card(phone, 'Unit 4').locator('.line').all()) {
    const box = await one.boundingBox()
    assert.ok(box.height >= 44 && box.width >= 180, JSON.stringify(box))
  }
  await card(phone, 'Unit 4').getByText('0 of 4 done').waitFor()
  await line(phone, 'Unit 4', 'Make the beds').tap()
  await checked(desk, 'Unit 4', 'Make the beds')
  await card(desk, 'Unit 4').getByText('1 of 4 done').waitFor()
  await card(desk, 'Unit 4').getByText('Who and when').click()
  await card(desk, 'Unit 4').locator('.who:has-text("Bob Reed")').waitFor()
  await line(desk, 'Unit 4', 'Make the beds').click()
  await checked(phone, 'Unit 4', 'Make the beds', false)
})

test('ticks that are made without a connection are shown at once, and sent when it is back', async () => {
  await phone.context().setOffline(true)
  await line(phone, 'Unit 4', 'Clean the oven').tap()
  await line(phone, 'Unit 4', 'Lock').tap()
  await checked(phone, 'Unit 4', 'Clean the oven')
  await checked(phone, 'Unit 4', 'Lock')
  await line(phone, 'Unit 4', 'Lock').tap()
  await checked(phone, 'Unit 4', 'Lock', false)
  await line(desk, 'Unit 4', 'Take out the bins').click()
  await checked(desk, 'Unit 4', 'Clean the oven', false)
  await phone.context().setOffline(false)
  await checked(desk, 'Unit 4', 'Clean the oven')
  await checked(phone, 'Unit 4', 'Take out the bins')
  await checked(desk, 'Unit 4', 'Lock', false)
  await card(desk, 'Unit 4').getByText('2 of 4 done').waitFor()
  await card(phone, 'Unit 4').getByText('2 of 4 done').waitFor()
})

test('ticks that wait are kept over a reload', async () => {
  await phone.evaluate(() => navigator.serviceWorker.ready.then(() => {}))
  await server.kill()
  await line(phone, 'Unit 4', 'Lock').tap()
  await checked(phone, 'Unit 4', 'Lock')
  await phone.reload()
  await checked(phone, 'Unit 4', 'Lock')
  await server.start()
  await checked(desk, 'Unit 4', 'Lock')
})

test('a poll is made on a phone; votes are counted, changed and shown by name', async () => {
  const form = await make(phone, 'Poll', 'When shall we paint?', ['Monday', 'Tuesday'])
  await form.getByRole('button', { name: 'Send' }).tap()
  await line(desk, 'When shall we paint?', 'Monday').click()
  await line(phone, 'When shall we paint?', 'Tuesday').tap()
  await line(desk, 'When shall we paint?', 'Monday').getByText('1 · 50 %').waitFor()
  await line(phone, 'When shall we paint?', 'Monday').tap()
  await checked(phone, 'When shall we paint?', 'Tuesday', false)
  await line(desk, 'When shall we paint?', 'Monday').getByText('2 · 100 %').waitFor()
  await card(desk, 'When shall we paint?').getByText('2 votes').waitFor()
  await card(desk, 'When shall we paint?').getByText('Who voted').click()
  await card(desk, 'When shall we paint?').locator('.who:has-text("You"):has-text("Bob Reed")').waitFor()
  assert.equal(await card(desk, 'When shall we paint?').getByText('Close poll').count(), 0)
})

test('only its author closes a poll, after a confirmation', async () => {
  await card(phone, 'When shall we paint?').getByText('Close poll').tap()
  await card(phone, 'When shall we paint?').getByText('Close it for everyone?').waitFor()
  await card(phone, 'When shall we paint?').getByText('Close poll').last().tap()
  await card(desk, 'When shall we paint?').getByText('Closed').waitFor()
  assert.ok(await line(desk, 'When shall we paint?', 'Monday').isDisabled())
})

test('several answers are possible where the poll allows it', async () => {
  const form = await make(desk, 'Poll', 'Who brings what?', ['Brushes'])
  await form.getByRole('button', { name: 'Send' }).click()
  await form.getByText('A poll needs two answers.').waitFor()
  await form.locator('.line').nth(1).fill('Paint')
  await form.getByLabel('Several answers').check()
  await form.getByRole('button', { name: 'Send' }).click()
  await line(phone, 'Who brings what?', 'Brushes').tap()
  await line(phone, 'Who brings what?', 'Paint').tap()
  await card(desk, 'Who brings what?').getByText('2 votes').waitFor()
  await checked(phone, 'Who brings what?', 'Brushes')
})

test('a deleted card is gone, and a refused tick is taken back', async () => {
  await message(desk, 'Who brings what?')
    .locator('.bubble')
    .click({ button: 'right', position: { x: 8, y: 8 } })
  await desk.locator('chat-actions [role=menuitem]:has-text("Delete")').click()
  await desk.locator('chat-actions [role=menuitem]:has-text("Delete")').click()
  await phone.locator('chat-card:has-text("Who brings what?")').waitFor({ state: 'detached' })
  await phone.context().setOffline(true)
  await line(phone, 'Unit 4', 'Make the beds').tap()
  await checked(phone, 'Unit 4', 'Make the beds')
  await server.call(alice, 'POST', `rooms/${room}/archive/`)
  await phone.context().setOffline(false)
  await phone.locator('chat-conversation .toast:has-text("archived")').waitFor()
  await checked(phone, 'Unit 4', 'Make the beds', false)
  await server.call(alice, 'POST', `rooms/${room}/unarchive/`)
  await phone.locator('chat-composer').waitFor()
})

for (const [name, options] of [
  ['desk', DESK],
  ['phone', PHONE],
]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`cards are accessible: ${name}, ${colorScheme}`, async () => {
      const page = await open(server, carol, { ...options, colorScheme, reducedMotion: 'reduce' })
      await page.evaluate(SOURCE)
      await enter(page, 'Turnover')
      await card(page, 'Unit 4').getByText('Who and when').click()
      await card(page, 'When shall we paint?').getByText('Who voted').click()
      const found = [await violations(page, 'cards')]
      for (const kind of ['Checklist', 'Poll']) {
        await page.locator('chat-composer').getByLabel('Attach a file').click()
        await page.locator(`chat-attach [role=menuitem]:has-text("${kind}")`).click()
        await page.locator('chat-new-card input:focus').waitFor()
        found.push(await violations(page, kind))
        await page.keyboard.press('Escape')
        await page.locator('chat-new-card').waitFor({ state: 'detached' })
      }
      assert.deepEqual(found.flat(), [])
      assert.deepEqual(page.faults, [])
      await page.context().close()
    })
  }
}

test('nothing has failed on the way', () => {
  // Without a line what a first touch needs can't be loaded; it is at the next one.
  const faults = phone.faults.filter(fault => !fault.includes('dynamically imported module'))
  assert.deepEqual([desk.faults, faults], [[], []])
})
