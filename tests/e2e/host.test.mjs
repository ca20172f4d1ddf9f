import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, host, message, open, PEOPLE, PHONE, Server, tokenOf } from './harness.mjs'

const { alice, bob } = PEOPLE
let server
let close

before(async () => {
  server = await new Server().start()
  const { id: room } = await server.group('Lobby', alice, bob)
  await server.call(bob, 'POST', 'messages/', { room, content: 'Hello from the lobby' })
  const page = body => ({
    headers: { 'Content-Type': 'text/html' },
    body: `<!doctype html><html lang="en"><title>Host</title>
      <meta name="viewport" content="width=device-width, initial-scale=1" /><style>chat-app, chat-room { height: 500px }</style>${body}
      <script src="/early.js"></script><script type="module" src="${server.url}/chat-room.js"></script></html>`,
  })
  close = await host(server, {
    '/editor':
      page(`<div id="editor" contenteditable="true"></div><input id="field" /><button id="button">B</button>
      <div id="shadow"></div><chat-app></chat-app>`),
    '/tag': page('<chat-room task="42"></chat-room><chat-badge></chat-badge>'),
    '/early.js': {
      headers: { 'Content-Type': 'text/javascript' },
      body: `const token = ${JSON.stringify(tokenOf({ ...alice, grant: 'task:42' }))}
        window.asked = 0
        window.needed = 0
        addEventListener('auth-needed', () => { window.needed++ })
        for (const one of document.querySelectorAll('chat-app, chat-room, chat-badge'))
          one.token = () => {
            window.asked++
            if (window.asked <= (Number(new URLSearchParams(location.search).get('fails')) || 0)) throw new Error('down')
            return token
          }`,
    },
  })
})

after(async () => {
  await closeBrowser()
  await close()
  await server.stop()
})

for (const [name, size] of [
  ['desk', DESK],
  ['phone', PHONE],
]) {
  test(`${name}: shortcuts work only while the chat has the focus`, async () => {
    const page = await open({ url: server.foreign }, null, size, '/editor')
    await page.locator('chat-room-list button.room').first().waitFor()
    await page.evaluate(() => {
      const root = document.querySelector('#shadow').attachShadow({ mode: 'open' })
      root.innerHTML = '<div contenteditable="true" id="inner" style="min-height: 20px"></div>'
    })
    for (const selector of ['#editor', '#inner']) {
      await page.locator(selector).click()
      await page.keyboard.type('a/b')
      assert.equal(await page.locator(selector).textContent(), 'a/b')
    }
    await page.locator('#field').click()
    await page.keyboard.type('c/d')
    assert.equal(await page.locator('#field').inputValue(), 'c/d')
    const stays = async () => {
      assert.equal(await page.evaluate(() => document.activeElement.localName !== 'chat-app'), true)
    }
    await page.locator('#button').focus()
    await page.keyboard.press('/')
    await stays()
    await page.evaluate(() => document.activeElement.blur())
    await page.keyboard.press('/')
    await stays()
    await page.locator('chat-room-list button.room:has-text("Lobby")').click()
    await message(page, 'Hello from the lobby').waitFor()
    await page.locator('#editor').click()
    await page.keyboard.press('Escape')
    assert.equal(await page.locator('chat-conversation').count(), 1)
    await page.locator('chat-conversation header .who').focus()
    await page.keyboard.press('/')
    await page.locator('chat-room-list input:focus').waitFor()
    await page.keyboard.type('a/b')
    assert.equal(await page.locator('chat-room-list input').inputValue(), 'a/b')
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`${name}: a tag whose first calls fail reports it and recovers`, async () => {
    const page = await open({ url: server.foreign }, null, size, '/tag?fails=5')
    await page.locator('chat-room').getByText('Trying again…').waitFor()
    await page.locator('chat-composer textarea').waitFor()
    assert.equal(
      await page.evaluate(() => window.needed),
      0,
      'an error of the token source does not mean signed out',
    )
    await page.context().close()
  })

  test(`${name}: a tag whose room cannot be resolved reports it and recovers`, async () => {
    const page = await open({ url: server.foreign }, null, size, '/editor')
    await page.route('**/api/chat/tasks/42/room/', route =>
      route.request().method() === 'PUT'
        ? route.fulfill({ status: 503, headers: { 'Access-Control-Allow-Origin': '*' }, body: '' })
        : route.fallback(),
    )
    await page.goto(`${server.foreign}/tag`)
    await page.locator('chat-room').getByText('Trying again…').waitFor()
    await page.unroute('**/api/chat/tasks/42/room/')
    await page.locator('chat-composer textarea').waitFor()
    await page.context().close()
  })

  test(`${name}: a list that cannot be loaded reports it and recovers`, async () => {
    const page = await open(server, null, size)
    await page.route('**/api/chat/rooms/?*', route =>
      route.fulfill({ status: 429, body: '{"code": "rate_limited"}' }),
    )
    await page.evaluate(
      kept => localStorage.setItem('chat session', kept),
      JSON.stringify({ access: tokenOf(alice), refresh: '' }),
    )
    await page.reload()
    await page.getByText('The conversations could not be loaded.').waitFor()
    await page.getByText('Trying again…').waitFor()
    await page.unroute('**/api/chat/rooms/?*')
    await page.locator('chat-room-list button.room').first().waitFor()
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })
}
