/** Previews of links: shown below the message, once for all, and nothing where the operator wants none. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, enter, message, open, PEOPLE, PHONE, Server, settledBox } from './harness.mjs'

const { alice, bob } = PEOPLE
/** A picture of one pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJggg==',
  'base64',
)
const PAGE = `<title>Boiler B-20</title><meta property="og:description" content="How to bleed it, step by step">
  <meta property="og:site_name" content="Manuals"><meta property="og:image" content="/boiler.png">`
let site
let url
let asked = 0
let server
let room

before(async () => {
  site = createServer((request, response) => {
    const isPage = request.url === '/boiler'
    if (isPage) asked++
    response.writeHead(200, { 'content-type': isPage ? 'text/html' : 'image/png' })
    response.end(isPage ? PAGE : PNG)
  })
  await new Promise(resolve => site.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${site.address().port}/boiler`
  server = await new Server({ env: { LINK_PREVIEWS: 'on', OUTBOUND_ALLOW: '127.0.0.1' } }).start()
  room = (await server.group('Heating', alice, bob)).id
  await server.call(bob, 'POST', 'messages/', { room, content: `The manual: ${url}` })
})

after(async () => {
  await closeBrowser()
  await server.stop()
  site.close()
})

test('a link shows what its page says of itself, and the page is asked once', async () => {
  for (const [user, size] of [
    [alice, DESK],
    [bob, PHONE],
  ]) {
    const page = await open(server, user, size)
    await enter(page, 'Heating')
    const preview = message(page, 'The manual').locator('chat-link-previews a')
    await preview.waitFor()
    assert.equal(await preview.getAttribute('href'), url)
    assert.match(await preview.innerText(), /Manuals\s+Boiler B-20\s+How to bleed it/)
    assert.match(await preview.locator('img').getAttribute('src'), /^data:image\/jpeg/)
    const box = await settledBox(preview)
    assert.ok(box.x >= 0 && box.x + box.width <= page.viewportSize().width, 'it fits')
    if (process.env.SHOTS)
      await page.screenshot({ path: `${process.env.SHOTS}/link-preview-${user.name}.png` })
  }
  assert.equal(asked, 1)
})

test('without previews a page asks once, and shows links as before', async () => {
  const plain = await new Server().start()
  try {
    const { id } = await plain.group('Plain', alice, bob)
    for (const content of [`One: ${url}`, `Two: ${url}`]) {
      await plain.call(bob, 'POST', 'messages/', { room: id, content })
    }
    const page = await open(plain, alice, DESK)
    const calls = []
    page.on('request', request => request.url().includes('link_previews') && calls.push(request.url()))
    await enter(page, 'Plain')
    await message(page, 'Two').waitFor()
    await page.waitForFunction(() => customElements.get('chat-link-previews'))
    assert.ok(calls.length <= 2, String(calls))
    assert.equal(await page.locator('chat-link-previews a').count(), 0)
    await plain.call(bob, 'POST', 'messages/', { room: id, content: `Three: ${url}` })
    await message(page, 'Three').locator('chat-link-previews').waitFor({ state: 'attached' })
    assert.ok(calls.length <= 2, 'it knows by now')
  } finally {
    await plain.stop()
  }
})
