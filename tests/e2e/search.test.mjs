import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { AXE, closeBrowser, DESK, enter, open, PEOPLE, PHONE, Server, violations } from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
let server

before(async () => {
  server = await new Server().start()
  const { id: cellar } = await server.group('Cellar', alice, bob, carol)
  const { id: attic } = await server.group('Attic', alice, bob)
  await server.call(bob, 'POST', 'messages/', { room: cellar, content: 'The pump in **the cellar** is loud' })
  await server.call(carol, 'POST', 'messages/', {
    room: cellar,
    content: 'Pump data: https://example.org/pump',
  })
  await server.call(bob, 'POST', 'messages/', { room: attic, content: 'No pump up here' })
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const hits = page => page.locator('.hit > span').allTextContents()

/** Waits until exactly these results are shown. */
async function finds(page, ...wanted) {
  for (let tries = 0; tries < 100; tries++) {
    const found = await hits(page)
    if (JSON.stringify(found.toSorted()) === JSON.stringify(wanted.toSorted())) return
    await page.waitForTimeout(50)
  }
  assert.deepEqual((await hits(page)).toSorted(), wanted.toSorted())
}

const LOUD = 'The pump in the cellar is loud'
const DATA = 'Pump data: https://example.org/pump'
const NONE = 'No pump up here'

test('the search in a room is narrowed by sender, parts and dates', async () => {
  const page = await open(server, alice, DESK)
  await enter(page, 'Cellar')
  await page.locator('chat-conversation header .icon').last().click()
  await page.locator('chat-search input[type=search]').fill('pump')
  await finds(page, LOUD, DATA)
  const filters = page.locator('chat-search-filters')
  await filters.getByLabel('From').selectOption({ label: 'Carol Marsh' })
  await finds(page, DATA)
  await filters.getByLabel('From').selectOption('')
  await filters.getByText('Links').click()
  await finds(page, DATA)
  await filters.getByText('Pictures').click()
  await finds(page)
  await filters.getByText('Pictures').click()
  await filters.getByText('Before').click()
  await filters.getByLabel('Before').fill('2020-01-01')
  await finds(page)
  await filters.getByLabel('Before').fill('')
  await filters.getByText('After').click()
  await filters.getByLabel('After').fill('2020-01-01')
  await finds(page, LOUD, DATA)
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('the search in all rooms is narrowed to one, and its results open in context', async () => {
  const page = await open(server, alice, PHONE)
  await page.locator('chat-room-list input[type=search]').fill('pump')
  await finds(page, LOUD, DATA, NONE)
  await page.locator('chat-search-filters').getByLabel('In').selectOption({ label: 'Attic' })
  await finds(page, NONE)
  await page.locator('.hit').tap()
  await page.locator('chat-message[marked]:has-text("No pump up here")').waitFor()
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

for (const [size, options] of Object.entries({ desk: DESK, phone: PHONE })) {
  for (const colorScheme of ['light', 'dark']) {
    test(`the filters of a search are accessible, ${size}, ${colorScheme}`, async () => {
      const page = await open(server, alice, { ...options, colorScheme, reducedMotion: 'reduce' })
      await page.evaluate(SOURCE)
      await page.locator('chat-room-list input[type=search]').fill('pump')
      await page.locator('.hit').first().waitFor()
      await page.locator('chat-search-filters').getByText('Links').click()
      await finds(page, DATA)
      assert.deepEqual(await violations(page, 'search filters'), [])
      const path = process.env.SHOTS && `${process.env.SHOTS}/search-${size}-${colorScheme}.png`
      if (path) await page.screenshot({ path })
      await page.context().close()
    })
  }
}
