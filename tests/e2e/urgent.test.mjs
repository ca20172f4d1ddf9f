/** Urgent messages: sent from the menu of the composer, acknowledged by others, and who has. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { AXE, closeBrowser, DESK, enter, open, PEOPLE, PHONE, Server, violations } from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
const SIZES = { desk: DESK, phone: PHONE }
let server

before(async () => {
  server = await new Server().start()
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const mark = (page, text) => page.locator(`chat-message:has-text("${text}") chat-urgent-mark`)

/** Opens the menu of the composer. */
async function openMenu(page) {
  await page.locator('chat-composer').getByRole('button', { name: 'Attach a file' }).click()
  await page.locator('chat-attach [role=menuitem]:has-text("Send later")').waitFor()
}

for (const [size, options] of Object.entries(SIZES)) {
  test(`an urgent message is sent from the menu, acknowledged, and shows by whom, ${size}`, async () => {
    const { id } = await server.group(`Cellar ${size}`, alice, bob, carol)
    const [page, other] = [await open(server, alice, options), await open(server, bob, options)]
    await enter(page, `Cellar ${size}`)
    await enter(other, `Cellar ${size}`)
    await openMenu(page)
    await page.getByRole('menuitem', { name: 'Send as urgent' }).click()
    await page.getByText('Write the message first').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('chat-composer textarea').fill('Water in the cellar')
    await openMenu(page)
    await page.getByRole('menuitem', { name: 'Send as urgent' }).click()
    await page.getByRole('menuitem', { name: 'Send, repeat for an hour' }).click()
    await mark(page, 'Water').getByText('Nobody got it yet').waitFor()
    assert.equal(await page.locator('chat-composer textarea').inputValue(), '')
    assert.equal(await mark(page, 'Water').getByRole('button', { name: 'Got it' }).count(), 0, 'one’s own')
    await mark(other, 'Water').getByText('Urgent').waitFor()
    await mark(other, 'Water').getByRole('button', { name: 'Got it', exact: true }).click()
    await mark(page, 'Water').getByRole('button', { name: '1 got it' }).click()
    await mark(page, 'Water').locator('li:has-text("Bob Reed")').waitFor()
    await mark(other, 'Water').getByRole('button', { name: '1 got it' }).waitFor()
    assert.equal(await mark(other, 'Water').locator('.got').count(), 0)
    const { results } = await server.call(carol, 'GET', `messages/?room=${id}`)
    await server.call(carol, 'POST', `messages/${results[0].id}/ack/`)
    await mark(page, 'Water').getByRole('button', { name: '2 got it' }).waitFor()
    await mark(page, 'Water').locator('li:has-text("Carol Marsh")').waitFor()
    for (const one of [page, other]) {
      await one.evaluate(SOURCE)
      assert.deepEqual(await violations(one, 'urgent'), [])
    }
    for (const one of [page, other]) {
      assert.deepEqual(one.faults, [])
      await one.context().close()
    }
  })
}

test('only who may send urgent messages is offered to', async () => {
  const { id } = await server.group('Calm', alice, bob)
  await server.call(alice, 'PATCH', `rooms/${id}/`, { urgent: 'nobody' })
  const page = await open(server, bob, DESK)
  await enter(page, 'Calm')
  await page.locator('chat-composer textarea').fill('Lunch')
  await openMenu(page)
  assert.equal(await page.getByRole('menuitem', { name: 'Send as urgent' }).count(), 0)
  assert.deepEqual(page.faults, [])
  await page.context().close()
})
