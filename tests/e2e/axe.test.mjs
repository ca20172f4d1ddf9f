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
const SOURCE = readFileSync(AXE, 'utf8')
let server

before(async () => {
  server = await new Server().start()
  await server.group('Attic', alice, bob, carol)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** The violations found so far. */
const found = []

/** Adds the violations in the current view. */
async function clean(page, view) {
  found.push(...(await violations(page, view)))
}

for (const [size, options] of Object.entries({ desk: DESK, phone: PHONE })) {
  for (const colorScheme of ['light', 'dark']) {
    test(`every view, ${size}, ${colorScheme}`, async () => {
      const touch = size === 'phone'
      const look = { ...options, colorScheme, reducedMotion: 'reduce' }
      const fresh = await open(server, null, look)
      await fresh.evaluate(SOURCE)
      await fresh.locator('chat-sign-in input').first().waitFor()
      await clean(fresh, 'sign-in')
      await fresh.locator('chat-sign-in input[name=username]').fill('nobody')
      await fresh.locator('chat-sign-in input[name=password]').fill('guessed')
      await fresh.locator('chat-sign-in button').click()
      await fresh.getByText('Wrong username or password.').waitFor()
      await clean(fresh, 'sign-in refused')
      await fresh.context().close()

      const page = await open(server, alice, look)
      await page.evaluate(SOURCE)
      await page.locator('button.room').first().waitFor()
      await clean(page, 'list')
      await enter(page, 'Attic')
      const text = `Roof window ${size} ${colorScheme} https://example.org/a`
      await says(page, text)
      await message(page, text).waitFor()
      await clean(page, 'conversation')
      await act(page, text, 'Reply', touch)
      await clean(page, 'reply')
      await says(page, 'An answer')
      await message(page, 'An answer').locator('.quote').waitFor()
      await clean(page, 'quote')

      const dialog = async (openIt, ready, view) => {
        await openIt()
        await page.locator(ready).first().waitFor()
        await clean(page, view)
        await page.keyboard.press('Escape')
        await page.locator(ready).first().waitFor({ state: 'detached' })
      }
      const click = selector => page.locator(selector).first().click()
      await dialog(
        () =>
          message(page, 'An answer').evaluate(one => {
            one.focus()
            one.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }))
          }),
        'chat-actions [role=menuitem]',
        'actions',
      )
      await dialog(() => click('chat-composer .icon'), 'chat-attach [role=menuitem]', 'attach')
      if (!touch) await dialog(() => click('chat-composer .smile'), 'chat-emoji .grid button', 'emoji')
      await click('header .who')
      await clean(page, 'people')
      await dialog(
        () => click('chat-panel .add'),
        'chat-people-picker .person, chat-people-picker .none',
        'add people',
      )
      await dialog(() => click('chat-panel .person .icon'), 'chat-panel [role=menuitem]', 'person')
      await click('[role=tab]:has-text("Files")')
      await clean(page, 'files')
      await click('[role=tab]:has-text("Settings")')
      await clean(page, 'settings')
      await dialog(() => click('chat-panel .row.danger'), 'chat-panel chat-sheet .solid', 'leave')
      await click('chat-panel header .icon')
      await page.locator('chat-conversation header .icon').last().click()
      await page.locator('chat-search input').fill('window')
      await page.locator('chat-search .hit').first().waitFor()
      await clean(page, 'search')
      await click('chat-search header .icon')
      if (touch) await click('chat-conversation header .icon')
      await page.locator('chat-room-list:not([inert])').waitFor()
      await dialog(
        () => click('chat-room-list header .icon'),
        'chat-people-picker .person',
        'new conversation',
      )
      await page.locator('chat-room-list input').fill('roof')
      await page.locator('chat-room-list .hit').first().waitFor()
      await clean(page, 'search everywhere')
      assert.deepEqual(page.faults, [])
      await page.context().close()
      assert.deepEqual(found.splice(0), [])
    })
  }
}
