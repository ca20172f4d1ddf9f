import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, enter, message, open, PEOPLE, PHONE, Server } from './harness.mjs'

const { alice, bob } = PEOPLE
const OWN = 290
let server
let room

before(async () => {
  server = await new Server().start()
  room = (await server.group('Diary', alice, bob)).id
  await server.says(
    alice,
    room,
    Array.from({ length: OWN }, (_, n) => `Day number ${n}`),
  )
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** Scrolls to the beginning and returns the number of rows. */
async function readAll(page) {
  const scroll = page.locator('chat-timeline .scroll')
  for (let pages = 0; pages < 10 && (await page.locator('chat-timeline .older').count()) > 0; pages++) {
    await scroll.evaluate(async one => {
      const timeline = one.getRootNode().host
      const known = timeline.view.timeline.from
      one.scrollTo(0, 0)
      for (let frames = 0; frames < 600 && timeline.view.timeline.from === known; frames++)
        await new Promise(requestAnimationFrame)
    })
  }
  return page.locator('chat-message').count()
}

for (const [name, size] of [
  ['desk', DESK],
  ['phone', PHONE],
]) {
  test(`${name}: the cost of a scroll does not grow with the rows, and at the end there are few`, async () => {
    const page = await open(server, alice, size)
    await enter(page, 'Diary')
    const rows = await readAll(page)
    assert.ok(rows >= OWN, `${rows} rows`)
    // All of them are the user's own, so a search for the last one of another user visits every row.
    const looks = await page.locator('chat-timeline .scroll').evaluate(async one => {
      one.scrollTo(0, one.scrollHeight / 2)
      await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
      let looks = 0
      const count = (of, name) => {
        const real = of[name]
        of[name] = function (...args) {
          looks++
          return real.apply(this, args)
        }
        return () => {
          of[name] = real
        }
      }
      const ends = [
        count(Element.prototype, 'getBoundingClientRect'),
        count(Element.prototype, 'querySelector'),
      ]
      one.scrollBy(0, 50)
      await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
      for (const end of ends) end()
      return looks
    })
    assert.ok(looks > 0 && looks < 40, `${looks} looks at ${rows} rows`)
    await page.locator('chat-timeline .jump').click()
    await page.locator('chat-timeline .jump').waitFor({ state: 'detached' })
    await server.call(bob, 'POST', 'messages/', { room, content: `Seen on the ${name}` })
    await message(page, `Seen on the ${name}`).waitFor()
    await page.locator('chat-timeline .older').waitFor({ state: 'attached' })
    const left = await page.locator('chat-message').count()
    assert.ok(left <= 250, `${left} rows at the end`)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })
}
