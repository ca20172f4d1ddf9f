import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, host, message, open, PEOPLE, Server, says, tokenOf } from './harness.mjs'

const { alice, bob } = PEOPLE
const POLICY = url =>
  `default-src 'none'; script-src 'self' ${url}; connect-src ${url} ${url.replace('http', 'ws')}; img-src ${url} blob:; style-src 'none'`
let server
let close
let page

before(async () => {
  server = await new Server().start()
  const token = tokenOf({ ...alice, grant: 'task:42' })
  const script = `
    window.counts = []
    addEventListener('unread-changed', event => { window.counts.push(window.unread = event.detail.unread) })
    addEventListener('message-sent', event => { window.sent = event.detail.text })
    addEventListener('auth-needed', () => { window.asked = (window.asked ?? 0) + 1 })
    const early = document.querySelector('chat-room')
    early.subject = 'Fix the boiler'
    early.token = () => { window.given = (window.given ?? 0) + 1; return ${JSON.stringify(token)} }
    document.querySelector('chat-badge').token = early.token`
  const html = `<!doctype html><html lang="en"><title>Task 42</title><main><h1>Task 42</h1>
    <chat-badge></chat-badge><div id="a"><chat-room task="42"></chat-room></div><div id="b"></div><div id="more"></div></main>
    <script src="/early.js"></script><script type="module" src="${server.url}/chat-room.js"></script></html>`
  const headers = { 'Content-Type': 'text/html', 'Content-Security-Policy': POLICY(server.url) }
  close = await host(server, {
    '/': { headers, body: html },
    '/early.js': { headers: { 'Content-Type': 'text/javascript' }, body: script },
  })
  page = await open({ url: server.foreign }, null, DESK, '/')
})

after(async () => {
  await closeBrowser()
  await close()
  await server.stop()
})

test('the tag works in a page of another origin under a strict policy', async () => {
  await page.locator('chat-composer textarea').waitFor()
  assert.equal(await page.locator('chat-conversation h2').textContent(), 'Fix the boiler')
  await says(page, 'Pressure is low')
  await message(page, 'Pressure is low').locator('.meta svg').waitFor()
  assert.equal(await page.evaluate(() => window.sent), 'Pressure is low')
  await message(page, 'Pressure is low').locator('.bubble').click({ button: 'right' })
  await page.locator('chat-actions [role=menuitem]').first().waitFor()
  await page.keyboard.press('Escape')
  assert.deepEqual(page.faults, [])
})

test('the badge counts unread messages elsewhere and notifies the page', async () => {
  const { id: room } = await server.group('Elsewhere', bob, alice)
  await page.waitForFunction(() => window.unread === 0)
  assert.equal(await page.locator('chat-badge [part=count]').count(), 0)
  for (const content of ['One', 'Two']) await server.call(bob, 'POST', 'messages/', { room, content })
  await page.locator('chat-badge [part=count]:has-text("2")').waitFor()
  await page.waitForFunction(() => window.unread === 2)
  await server.call(alice, 'POST', `rooms/${room}/mark_read/`)
  await page.locator('chat-badge [part=count]').waitFor({ state: 'detached' })
  await page.waitForFunction(() => window.unread === 0)
})

test('the first unread event contains the actual number', async () => {
  const { id: room } = await server.group('Waiting', bob, alice)
  await server.call(bob, 'POST', 'messages/', { room, content: 'Are you there?' })
  const later = await open({ url: server.foreign }, null, DESK, '/')
  await later.waitForFunction(() => window.counts.length > 0)
  await later.locator('chat-badge [part=count]:has-text("1")').waitFor()
  assert.deepEqual([...new Set(await later.evaluate(() => window.counts))], [1])
  await later.context().close()
  await server.call(alice, 'POST', `rooms/${room}/mark_read/`)
})

test('tags work in open and closed shadow roots of the page', async () => {
  const token = tokenOf(alice)
  await page.evaluate(token => {
    const host = document.createElement('div')
    document.querySelector('#more').append(host)
    const root = host.attachShadow({ mode: 'closed' })
    root.innerHTML = '<chat-badge></chat-badge><chat-app></chat-app>'
    window.inner = [...root.children]
    for (const one of window.inner) one.token = token
  }, token)
  await page.waitForFunction(() => window.inner[1].shadowRoot?.querySelector('chat-room-list')?.shadowRoot)
  await page.waitForFunction(() =>
    window.inner[1].shadowRoot.querySelector('chat-room-list').shadowRoot.querySelector('.room'),
  )
  assert.ok(await page.evaluate(() => window.inner[0].shadowRoot))
  await page.evaluate(() => document.querySelector('#more').replaceChildren())
})

test('a page whose origin is not allowed shows that', async () => {
  const strict = await new Server({ env: { ALLOWED_ORIGINS: 'https://app.example' } }).start()
  const token = tokenOf({ ...alice, grant: 'task:42' })
  const body = `<!doctype html><html lang="en"><title>Task</title><chat-room task="42" token="${token}"></chat-room>
    <chat-room room="00000000-0000-4000-8000-000000000000" token="${token}"></chat-room>
    <chat-app token="${token}"></chat-app><script type="module" src="${strict.url}/chat-room.js"></script></html>`
  const end = await host(strict, { '/': { headers: { 'Content-Type': 'text/html' }, body } })
  try {
    const refused = await open({ url: strict.foreign }, null, DESK, '/')
    const said = []
    refused.on('console', one => said.push(one.text()))
    const text = `The chat does not allow this page (${strict.foreign}).`
    for (const tag of ['chat-room[task]', 'chat-room[room]', 'chat-app'])
      await refused.locator(tag).getByText(text).waitFor()
    await refused.reload()
    await refused.locator('chat-app').getByText(text).waitFor()
    assert.ok(said.some(one => one.includes(`refuses pages of ${strict.foreign}`)))
    await refused.context().close()
  } finally {
    await end()
    await strict.stop()
  }
})

test("a room is shown by property or id, in the page's colours", async () => {
  const { id } = await server.group('By its id', alice, bob)
  const token = tokenOf({ ...alice, grant: 'property:7' })
  await page.evaluate(
    ({ id, token }) => {
      document.querySelector('#more').innerHTML =
        `<chat-room property="7" subject="Villa Seeblick" token="${token}" theme="dark"></chat-room>
         <chat-room room="${id}" token="${token}"></chat-room>`
      document.querySelector('#more').lastElementChild.style.setProperty('--chat-accent', 'rgb(1, 2, 3)')
    },
    { id, token },
  )
  const house = page.locator('#more chat-room').first()
  const byId = page.locator('#more chat-room').last()
  await house.locator('h2:has-text("Villa Seeblick")').waitFor()
  await byId.locator('h2:has-text("By its id")').waitFor()
  const colour = (of, selector, name) =>
    of.locator(selector).evaluate((one, name) => getComputedStyle(one)[name], name)
  assert.equal(await colour(byId, '.send', 'backgroundColor'), 'rgb(1, 2, 3)')
  assert.equal(await colour(house, 'header', 'color'), 'rgb(233, 235, 238)')
  await page.evaluate(() => document.querySelector('#more').replaceChildren())
})

test('an expired token is requested again; without another one the page is notified', async () => {
  const short = tokenOf({ ...bob, grant: 'task:42' }, 4)
  const long = tokenOf({ ...bob, grant: 'task:42' })
  await page.evaluate(
    ({ short, long }) => {
      const add = token => {
        const one = document.createElement('chat-room')
        one.task = '42'
        one.token = token
        document.querySelector('#more').append(one)
      }
      window.calls = 0
      add(() => (window.calls++ === 0 ? short : long))
    },
    { short, long },
  )
  const theirs = page.locator('#more chat-room')
  await page.waitForFunction(() => window.calls > 1)
  await says({ locator: selector => theirs.locator(selector) }, 'With the second token')
  await theirs.locator('chat-message:has-text("With the second token") .meta svg').first().waitFor()
  assert.equal(await page.evaluate(() => window.asked ?? 0), 0)
  await page.evaluate(
    token => {
      document.querySelector('#more chat-room').token = token
    },
    tokenOf({ ...PEOPLE.carol, grant: 'task:42' }, -10),
  )
  await page.waitForFunction(() => window.asked > 0)
  await theirs.getByText('Please sign in again.').first().waitFor()
  await page.evaluate(() => document.querySelector('#more').replaceChildren())
})

test('moving the element keeps its connection', async () => {
  const seen = []
  page.on('websocket', socket => seen.push(socket.url()))
  await page.evaluate(() => document.querySelector('#b').append(document.querySelector('chat-room')))
  await page.locator('#b chat-composer textarea').waitFor()
  await says(page, 'Still here')
  await message(page, 'Still here').waitFor()
  await page.waitForTimeout(3_500)
  await says(page, 'And now')
  await message(page, 'And now').locator('.meta svg').waitFor()
  assert.deepEqual(seen, [])
})

test('a hundred mounts leave nothing behind', async () => {
  const cdp = await page.context().newCDPSession(page)
  const mount = times =>
    page.evaluate(async times => {
      const token = document.querySelector('chat-room').token
      for (let n = 0; n < times; n++) {
        const element = document.createElement('chat-room')
        element.setAttribute('task', '42')
        element.token = token
        document.body.append(element)
        await new Promise(done => setTimeout(done, 20))
        element.remove()
      }
      await new Promise(done => setTimeout(done, 500))
    }, times)
  const count = async () => {
    for (let n = 0; n < 3; n++) await cdp.send('HeapProfiler.collectGarbage')
    const { nodes, jsEventListeners } = await cdp.send('Memory.getDOMCounters')
    return { nodes, jsEventListeners }
  }
  await mount(10)
  const before = await count()
  await mount(100)
  const after = await count()
  assert.ok(after.nodes - before.nodes < 200, `${after.nodes - before.nodes} nodes more`)
  assert.ok(
    after.jsEventListeners - before.jsEventListeners < 50,
    `${after.jsEventListeners - before.jsEventListeners} listeners more`,
  )
})
