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

const { alice, bob } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
const ORDER = `**Order** for _Friday_ from ~~Anna~~ \`4A\`:
- towels
- two bulbs
  1. small
  2. with a screw
> As agreed with **Tom**
\`\`\`
door = 1234
\`\`\`
Ask anna@example.org, +49 30 1234567 or see https://example.org/a_(b).`
let server
let room

before(async () => {
  server = await new Server().start()
  room = (await server.group('Store', alice, bob)).id
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

test('marks are formatted, and copied and edited as they were typed', async () => {
  const desk = await open(server, alice, DESK)
  await enter(desk, 'Store')
  await says(desk, ORDER)
  const sent = message(desk, 'Order')
  await sent.locator('blockquote strong:has-text("Tom")').waitFor()
  const shown = name => sent.locator(`.text ${name}`).allTextContents()
  assert.deepEqual(await shown('> strong'), ['Order'])
  assert.deepEqual(await shown('em'), ['Friday'])
  assert.deepEqual(await shown('s'), ['Anna'])
  assert.deepEqual(await shown('> code'), ['4A'])
  assert.deepEqual(await shown('pre code'), ['door = 1234'])
  assert.deepEqual(await shown('ol li'), ['small', 'with a screw'])
  assert.equal(await sent.locator('.text > ul > li').count(), 2)
  const links = await sent.locator('a').evaluateAll(all => all.map(one => one.href))
  assert.deepEqual(links, ['mailto:anna@example.org', 'tel:+49301234567', 'https://example.org/a_(b)'])
  await desk.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await act(desk, 'Order', 'Copy text')
  assert.equal(await desk.evaluate(() => navigator.clipboard.readText()), ORDER)
  await act(desk, 'Order', 'Edit')
  assert.equal(await desk.locator('chat-composer textarea').inputValue(), ORDER)
  await desk.locator('chat-composer .about:has-text("Order for Friday from Anna 4A:")').waitFor()
  assert.deepEqual(desk.faults, [])
  await desk.context().close()
})

test('previews in the list, of a reply and of a quote have no marks', async () => {
  await server.says(bob, room, ['The **boiler** is `off`'])
  const desk = await open(server, alice, DESK)
  await desk.locator('button.room:has-text("Store") .text:has-text("The boiler is off")').waitFor()
  await enter(desk, 'Store')
  await act(desk, 'boiler', 'Reply')
  await desk.locator('chat-composer .about:has-text("The boiler is off")').waitFor()
  await says(desk, '*Thanks*')
  await message(desk, 'Thanks').locator('.quote:has-text("The boiler is off")').waitFor()
  await message(desk, 'Thanks').locator('em').waitFor()
  await desk.locator('chat-conversation header .icon').last().click()
  await desk.locator('chat-search input').fill('boiler')
  await desk.locator('chat-search .hit:has-text("The boiler is off") mark').waitFor()
  assert.deepEqual(desk.faults, [])
  await desk.context().close()
})

test('a text is shown at once, and what one reads stays in place when it is formatted', async () => {
  const { id } = await server.group('Slow', alice, bob)
  await server.says(
    bob,
    id,
    Array.from({ length: 60 }, (_, n) => `Entry ${n}\n\`\`\`\nwith **code**\n\`\`\`\n> and a quote`),
  )
  for (const options of [DESK, PHONE]) {
    const page = await open(server, alice, options, null)
    let release = () => {}
    const released = new Promise(done => {
      release = done
    })
    await page.route('**/assets/format-*.js', async route => {
      await released
      await route.continue()
    })
    await page.goto(`${server.url}/chat/r/${id}`)
    await message(page, 'Entry').locator('.text:has-text("```")').waitFor()
    await page.locator('chat-timeline .scroll').evaluate(one => one.scrollTo(0, one.scrollHeight / 2))
    const first = () =>
      page.locator('chat-timeline .scroll').evaluate(one => {
        const { top } = one.getBoundingClientRect()
        const all = [...one.querySelectorAll('chat-message')]
        const seen = all.find(each => each.getBoundingClientRect().top >= top)
        return [seen.dataset.key, Math.round(seen.getBoundingClientRect().top - top)]
      })
    await page.waitForTimeout(300)
    const before = await first()
    release()
    await page.locator('chat-message pre').first().waitFor()
    await page.waitForTimeout(100)
    assert.deepEqual(await first(), before)
    await page.context().close()
  }
})

for (const [size, options] of Object.entries({ desk: DESK, phone: PHONE })) {
  for (const colorScheme of ['light', 'dark']) {
    test(`formatted texts are accessible, ${size}, ${colorScheme}`, async () => {
      await server.says(bob, room, [`From Bob ${size} ${colorScheme}\n${ORDER}`])
      const page = await open(server, alice, { ...options, colorScheme, reducedMotion: 'reduce' })
      await page.evaluate(SOURCE)
      await enter(page, 'Store')
      await message(page, `From Bob ${size} ${colorScheme}`).locator('pre').waitFor()
      assert.deepEqual(await violations(page, 'formatted'), [])
      if (process.env.SHOTS)
        await page.screenshot({ path: `${process.env.SHOTS}/texts-${size}-${colorScheme}.png` })
      assert.deepEqual(page.faults, [])
      await page.context().close()
    })
  }
}
