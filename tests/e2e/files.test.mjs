import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, enter, message, open, PEOPLE, PHONE, Server, says } from './harness.mjs'

const { alice, bob } = PEOPLE
const UPLOAD_BYTES_MAX = 2_000_000
let server
let desk
let phone

before(async () => {
  server = await new Server({ env: { MAX_UPLOAD_BYTES: String(UPLOAD_BYTES_MAX) } }).start()
  await server.group('Invoices', alice, bob)
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
  await enter(desk, 'Invoices')
  await enter(phone, 'Invoices')
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

async function choose(name, bytes) {
  const buffer = Buffer.alloc(bytes, '%PDF-1.4\n')
  const file = { name, mimeType: 'application/pdf', buffer }
  await desk.locator('chat-composer input[type=file]').setInputFiles(file)
}

/** Throttles the desktop's connection, or restores it. */
async function slow(bytes_per_second) {
  const cdp = await desk.context().newCDPSession(desk)
  await cdp.send('Network.enable')
  const line = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes_per_second }
  await cdp.send('Network.emulateNetworkConditions', line)
}

test('an upload shows its progress and can be cancelled', async () => {
  await slow(200_000)
  await choose('too slow.pdf', 1_900_000)
  await says(desk, 'This takes long')
  const doc = message(desk, 'too slow.pdf').locator('.doc')
  await doc.getByText(/[1-9]\d? %/).waitFor()
  await doc.click()
  await message(desk, 'too slow.pdf').waitFor({ state: 'detached' })
  await slow(-1)
  await says(desk, 'Never mind')
  await message(phone, 'Never mind').waitFor()
  assert.equal(await phone.locator('chat-message').count(), 1)
})

test('a failed upload shows the reason and succeeds when retried', async () => {
  await desk.route(
    '**/api/chat/messages/',
    route => route.fulfill({ status: 422, json: { code: 'rejected' } }),
    {
      times: 1,
    },
  )
  await choose('bill.pdf', 1_000)
  await says(desk, 'The bill')
  await message(desk, 'bill.pdf').getByText('It was refused.').waitFor()
  await message(desk, 'bill.pdf').locator('button:has-text("Try again")').click()
  await message(phone, 'bill.pdf').waitFor()
  await message(desk, 'bill.pdf').locator('.fail').waitFor({ state: 'detached' })
})

test('a file that is too large for the server is discarded', async () => {
  await choose('film.pdf', UPLOAD_BYTES_MAX + 200_000)
  await says(desk, 'The film')
  await message(desk, 'film.pdf').getByText('The file is too large.').waitFor()
  await message(desk, 'film.pdf').locator('button:has-text("Discard")').click()
  await message(desk, 'film.pdf').waitFor({ state: 'detached' })
})

test('a selected file can be removed before it is sent', async () => {
  await choose('not this.pdf', 1_000)
  await desk.getByLabel('Discard not this.pdf').click()
  await says(desk, 'Only words')
  await message(phone, 'Only words').waitFor()
  assert.equal(await message(phone, 'Only words').locator('.doc').count(), 0)
})

/** Drops or pastes a file into the page. */
async function give(selector, type, name) {
  await desk.locator(selector).evaluate(
    (one, { type, name }) => {
      const data = new DataTransfer()
      data.items.add(new File(['%PDF-1.4\n'], name, { type: 'application/pdf' }))
      const more = { bubbles: true, composed: true, cancelable: true }
      const event =
        type === 'paste'
          ? new ClipboardEvent(type, { clipboardData: data, ...more })
          : new DragEvent(type, { dataTransfer: data, ...more })
      one.dispatchEvent(event)
    },
    { type, name },
  )
}

test('a file is dropped, and another one pasted', async () => {
  await give('chat-timeline', 'dragover', 'dropped.pdf')
  await desk.getByText('Drop files to attach them').waitFor()
  await give('chat-timeline', 'drop', 'dropped.pdf')
  await desk.getByText('Drop files to attach them').waitFor({ state: 'detached' })
  await give('chat-composer textarea', 'paste', 'pasted.pdf')
  await desk.locator('chat-attachments:has-text("dropped.pdf"):has-text("pasted.pdf")').waitFor()
  await desk.locator('chat-composer .send').click()
  const both = message(phone, 'dropped.pdf')
  await both.locator('chat-more-files a:has-text("pasted.pdf")').waitFor()
  assert.equal(await message(phone, 'pasted.pdf').count(), 1)
})

test("a message's file is saved under its name", async () => {
  const saved = phone.waitForEvent('download')
  await message(phone, 'dropped.pdf').locator('.doc').tap()
  assert.equal((await saved).suggestedFilename(), 'dropped.pdf')
  const other = phone.waitForEvent('download')
  await message(phone, 'dropped.pdf').locator('chat-more-files a').tap()
  assert.equal((await other).suggestedFilename(), 'pasted.pdf')
})

test('the details list the files of the room that is shown', async () => {
  const files = desk.locator('chat-panel .doc')
  await server.group('Receipts', alice, bob)
  await desk.locator('chat-conversation header .who').click()
  await desk.getByRole('tab', { name: 'Files' }).click()
  await files.filter({ hasText: 'pasted.pdf' }).waitFor()
  await enter(desk, 'Receipts')
  await desk.locator('chat-panel').getByText('No files yet').waitFor()
  let held
  let letThrough = () => {}
  const released = new Promise(done => {
    letThrough = done
  })
  const holding = async route => {
    held = route.request()
    await released
    await route.continue()
  }
  await desk.route(/message_type=file/, holding, { times: 1 })
  await enter(desk, 'Invoices')
  await desk.locator('chat-panel').getByText('Loading…').waitFor()
  await enter(desk, 'Receipts')
  await desk.locator('chat-panel').getByText('No files yet').waitFor()
  letThrough()
  await (await held.response()).finished()
  await desk.evaluate(() => new Promise(requestAnimationFrame))
  assert.equal(await files.count(), 0, 'a late answer is about another room')
  await enter(desk, 'Invoices')
  await files.filter({ hasText: 'pasted.pdf' }).waitFor()
  await desk.locator('chat-panel').getByLabel('Close').click()
})

test("the phone's sheet offers camera, images and files", async () => {
  const input = phone.locator('chat-composer input[type=file]')
  await input.evaluate(one => {
    one.click = () => {
      one.dataset.asked = `${one.accept} ${one.hasAttribute('capture') ? 'by camera' : ''}`
    }
  })
  for (const [line, asked] of [
    ['Take a photo', /image.* by camera$/],
    ['Choose a picture', /image.* $/],
    ['Choose a file', /^ $/],
  ]) {
    await phone.locator('chat-composer button[aria-label="Attach a file"]').tap()
    await phone.locator(`chat-attach [role=menuitem]:has-text("${line}")`).tap()
    await phone.locator('chat-attach').waitFor({ state: 'detached' })
    assert.match(await input.getAttribute('data-asked'), asked)
  }
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})
