/** Images in the timeline and in the viewer. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { deflateSync } from 'node:zlib'
import { closeBrowser, DESK, drag, enter, open, PEOPLE, PHONE, Server, still, tokenOf } from './harness.mjs'

const { alice, bob } = PEOPLE
/** Width and height of each image, in sending order. */
const SHAPES = [
  [400, 1200],
  [1600, 400],
  [800, 600],
]
let server

before(async () => {
  server = await new Server().start()
  const { id } = await server.group('Gallery', alice, bob)
  for (const [n, shape] of SHAPES.entries()) {
    const form = new FormData()
    form.append('room', id)
    form.append('content', n === 0 ? 'The tall one' : '')
    form.append('attachment', new Blob([picture(...shape)], { type: 'image/png' }), `${n}.png`)
    const headers = { Authorization: `Bearer ${tokenOf(bob)}` }
    const answer = await fetch(`${server.url}/api/chat/messages/`, { method: 'POST', headers, body: form })
    assert.equal(answer.status, 201)
  }
  await server.call(alice, 'POST', `rooms/${id}/mark_read/`)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** Returns a grey PNG. */
function picture(width, height) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data])
    const out = Buffer.alloc(body.length + 8)
    out.writeUInt32BE(data.length)
    body.copy(out, 4)
    out.writeUInt32BE(crc(body), body.length + 4)
    return out
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width)
  head.writeUInt32BE(height, 4)
  head[8] = 8
  const rows = Buffer.alloc((width + 1) * height, 0x60)
  for (let y = 0; y < height; y++) rows[y * (width + 1)] = 0
  const signature = Buffer.from('89504e470d0a1a0a', 'hex')
  return Buffer.concat([
    signature,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function crc(data) {
  let sum = ~0
  for (const byte of data) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1))
  }
  return ~sum >>> 0
}

/** Opens the room and waits until the images are loaded. */
async function gallery(options) {
  const page = await open(server, alice, { ...options, reducedMotion: 'reduce' })
  await enter(page, 'Gallery')
  for (let n = 0; n < SHAPES.length; n++) {
    const img = page.locator('chat-message img').nth(n)
    await img.scrollIntoViewIfNeeded()
    await img.evaluate(one => one.decode())
  }
  return page
}

for (const [size, options] of Object.entries({ desk: DESK, phone: PHONE })) {
  test(`an image has its true aspect ratio and is entirely visible, ${size}`, async () => {
    const page = await gallery(options)
    for (const [n, [width, height]] of SHAPES.entries()) {
      const { box, fit } = await page
        .locator('chat-message img')
        .nth(n)
        .evaluate(one => {
          const { width, height } = one.getBoundingClientRect()
          return { box: width / height, fit: getComputedStyle(one).objectFit }
        })
      assert.ok(
        fit === 'contain' && Math.abs(box / (width / height) - 1) < 0.05,
        `${width} x ${height}: ${box}`,
      )
    }
    await page.context().close()
  })

  test(`the end of a room stays visible when its images load, ${size}`, async () => {
    const page = await open(server, alice, options)
    await enter(page, 'Gallery')
    await page
      .locator('chat-message img')
      .last()
      .evaluate(one => one.decode())
    const rest = await page
      .locator('chat-timeline .scroll')
      .evaluate(one => one.scrollHeight - one.clientHeight - one.scrollTop)
    assert.ok(rest < 2, `${rest} px from the end`)
    await page.context().close()
  })
}

test('the viewer steps by arrows and keys, and shows the position', async () => {
  const page = await gallery(DESK)
  await page.locator('chat-message button.picture').first().click()
  const viewer = page.locator('chat-viewer')
  await viewer.getByText('1 of 3').waitFor()
  await viewer.locator('.caption').getByText('The tall one').waitFor()
  assert.equal(await viewer.getByLabel('Earlier picture').count(), 0)
  await viewer.getByLabel('Later picture').click()
  await viewer.getByText('2 of 3').waitFor()
  await page.keyboard.press('ArrowRight')
  await viewer.getByText('3 of 3').waitFor()
  assert.equal(await viewer.getByLabel('Later picture').count(), 0)
  await page.keyboard.press('ArrowLeft')
  await viewer.getByText('2 of 3').waitFor()
  await page.keyboard.press('Escape')
  await viewer.waitFor({ state: 'detached' })
  await page.context().close()
})

test('the viewer zooms by button, keys, wheel and mouse, and pans', async () => {
  const page = await gallery(DESK)
  await page.locator('chat-message button.picture').first().click()
  const img = page.locator('chat-viewer img')
  await img.evaluate(one => one.decode())
  const width = async () => (await img.boundingBox()).width
  const whole = await width()
  await page.getByLabel('Zoom in').click()
  assert.ok((await width()) > 2 * whole)
  const { x } = await img.boundingBox()
  await page.mouse.move(640, 400)
  await page.mouse.down()
  await page.mouse.move(740, 400, { steps: 5 })
  await page.mouse.up()
  assert.ok(Math.abs((await img.boundingBox()).x - x - 100) < 2)
  assert.equal(await page.locator('chat-viewer').count(), 1)
  await page.getByLabel('Zoom out').click()
  assert.equal(await width(), whole)
  await page.keyboard.press('+')
  assert.ok((await width()) > whole)
  await page.keyboard.press('0')
  assert.equal(await width(), whole)
  await page.mouse.move(640, 400)
  await page.mouse.wheel(0, -300)
  await page.getByLabel('Zoom out').waitFor()
  await page.mouse.dblclick(640, 400)
  await page.getByLabel('Zoom in').waitFor()
  await page.context().close()
})

test('on a phone one finger steps, two fingers zoom, and a pull closes', async () => {
  const page = await gallery(PHONE)
  await page.locator('chat-message button.picture').last().tap()
  const viewer = page.locator('chat-viewer')
  await viewer.getByText('3 of 3').waitFor()
  await viewer.locator('img').waitFor()
  await drag(page, { x: 100, y: 420 }, 160, 0)
  await viewer.getByText('2 of 3').waitFor()
  await viewer.locator('img').evaluate(one => one.decode())
  const { width: whole } = await viewer.locator('img').boundingBox()
  const cdp = await page.context().newCDPSession(page)
  const two = apart => [
    { x: 195 - apart, y: 420, id: 1 },
    { x: 195 + apart, y: 420, id: 2 },
  ]
  await cdp.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: two(40) })
  for (const apart of [60, 80, 100]) {
    await cdp.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: two(apart) })
  }
  await cdp.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  await viewer.getByLabel('Zoom out').waitFor()
  assert.ok((await viewer.locator('img').boundingBox()).width > 1.5 * whole)
  // While zoomed, a pull moves the image and does not close the viewer.
  await drag(page, { x: 195, y: 400 }, 0, 200)
  assert.equal(await viewer.count(), 1)
  await viewer.getByLabel('Zoom out').click()
  await drag(page, { x: 195, y: 400 }, 0, 40)
  await still(viewer.locator('img'))
  assert.equal(await viewer.count(), 1)
  await drag(page, { x: 195, y: 400 }, 0, 200)
  await viewer.waitFor({ state: 'detached' })
  assert.deepEqual(page.faults, [])
  await page.context().close()
})
