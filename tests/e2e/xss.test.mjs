import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CONCURRENCY, closeBrowser, enter, open, Server, tokenOf } from './harness.mjs'

const CALL = 'top.hit=1'
/** Sixty payloads that have worked somewhere. */
const PAYLOADS = [
  `<script>${CALL}</script>`,
  `<SCRIPT SRC=data:,${CALL}></SCRIPT>`,
  `<img src=x onerror=${CALL}>`,
  `<img src=x onerror="${CALL}"/>`,
  `<img/src=x/onerror=${CALL}>`,
  `"><img src=x onerror=${CALL}>`,
  `'><img src=x onerror=${CALL}>`,
  `\`><img src=x onerror=${CALL}>`,
  `<svg onload=${CALL}>`,
  `<svg/onload=${CALL}>`,
  `<svg><script>${CALL}</script></svg>`,
  `<svg><animate onbegin=${CALL} attributeName=x dur=1s>`,
  `<svg><set onbegin=${CALL} attributeName=x>`,
  `<svg><a xlink:href="javascript:${CALL}"><text>x</text></a></svg>`,
  `<body onload=${CALL}>`,
  `<iframe src="javascript:${CALL}"></iframe>`,
  `<iframe srcdoc="<script>${CALL}</script>"></iframe>`,
  `<object data="javascript:${CALL}"></object>`,
  `<embed src="javascript:${CALL}">`,
  `<a href="javascript:${CALL}">x</a>`,
  `<a href="java\tscript:${CALL}">x</a>`,
  `<form action="javascript:${CALL}"><button>x</button></form>`,
  `<button formaction="javascript:${CALL}" form=f>x</button>`,
  `<input autofocus onfocus=${CALL}>`,
  `<select autofocus onfocus=${CALL}></select>`,
  `<textarea autofocus onfocus=${CALL}></textarea>`,
  `<video><source onerror=${CALL}></video>`,
  `<video poster="javascript:${CALL}"></video>`,
  `<audio src=x onerror=${CALL}>`,
  `<details open ontoggle=${CALL}>x</details>`,
  `<marquee onstart=${CALL}>x</marquee>`,
  `<meta http-equiv=refresh content="0;url=javascript:${CALL}">`,
  `<link rel=stylesheet href="data:text/css,*{x:expression(${CALL})}">`,
  `<style>@import 'javascript:${CALL}';</style>`,
  `<style onload=${CALL}></style>`,
  `<div style="background:url(javascript:${CALL})">x</div>`,
  `<div onmouseover=${CALL}>x</div>`,
  `<div onpointerenter=${CALL}>x</div>`,
  `<math><mi xlink:href="javascript:${CALL}">x</mi></math>`,
  `<template><script>${CALL}</script></template>`,
  `<noscript><p title="</noscript><img src=x onerror=${CALL}>">`,
  `</textarea><script>${CALL}</script>`,
  `</title><script>${CALL}</script>`,
  `--><script>${CALL}</script>`,
  `]]><script>${CALL}</script>`,
  `<!--><img src=x onerror=${CALL}>-->`,
  `<x onclick=${CALL} tabindex=0 autofocus>x</x>`,
  `<chat-room token="x" server="javascript:${CALL}"></chat-room>`,
  `<base href="javascript:${CALL}//">`,
  `javascript:${CALL}`,
  `JaVaScRiPt:${CALL}`,
  `data:text/html,<script>${CALL}</script>`,
  `http://x.example/"onmouseover="${CALL}`,
  `https://x.example/'onclick='${CALL}`,
  `\${${CALL}}`,
  `{{constructor.constructor('${CALL}')()}}`,
  `#{${CALL}}`,
  `&lt;script&gt;${CALL}&lt;/script&gt;`,
  `\u003cscript\u003e${CALL}\u003c/script\u003e`,
  `<img src=x onerror=&#116;op.hit=1>`,
]
let server

/** Runs an action for each payload, several at a time. */
async function each(act) {
  const done = []
  for (let at = 0; at < PAYLOADS.length; at += CONCURRENCY) {
    const some = PAYLOADS.slice(at, at + CONCURRENCY)
    done.push(...(await Promise.all(some.map((payload, n) => act(payload, at + n)))))
  }
  return done
}

before(async () => {
  server = await new Server().start()
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

test('sixty payloads in texts, names and files are shown literally, and none is executed', async () => {
  assert.equal(PAYLOADS.length, 60)
  const victim = { user_id: 910_000, username: 'victim', full_name: 'Victim' }
  await server.call(victim, 'GET', 'users/me/')
  const rooms = await each(async (payload, at) => {
    const attacker = { user_id: 910_001 + at, username: `attacker${at}`, full_name: payload.slice(0, 150) }
    await server.call(attacker, 'GET', 'users/me/')
    const body = { room_type: 'group', name: payload, participant_ids: [victim.user_id] }
    return server.call(attacker, 'POST', 'rooms/', body)
  })
  const last = rooms.at(-1)
  const host = { user_id: 910_060, username: 'attacker59', full_name: PAYLOADS[59] }
  await each(async payload => {
    await server.call(host, 'POST', 'messages/', { room: last.id, content: payload })
    const form = new FormData()
    form.set('room', last.id)
    form.set(
      'attachment',
      new Blob(['%PDF-1.4\n%%EOF\n'], { type: 'application/pdf' }),
      `${payload.replaceAll('/', '_')}.pdf`,
    )
    await fetch(`${server.url}/api/chat/messages/`, {
      method: 'POST',
      body: form,
      headers: { Authorization: `Bearer ${tokenOf(host)}` },
    })
  })
  const page = await open(server, victim)
  const dialogs = []
  page.on('dialog', dialog => dialogs.push(dialog.message()))
  await page.locator('button.room').nth(59).waitFor()
  const names = await page.locator('button.room .name .cut').allTextContents()
  assert.deepEqual(names.toSorted(), PAYLOADS.toSorted())
  await enter(page, PAYLOADS[59].replaceAll('"', '\\"'))
  await page
    .locator('chat-message')
    .nth(2 * PAYLOADS.length - 1)
    .waitFor()
  const links = await page.locator('chat-message a').evaluateAll(all => all.map(one => one.href))
  assert.deepEqual(
    links.filter(link => !/^https?:/.test(link)),
    [],
  )
  await page.locator('header .who').click()
  await page.locator('[role=tab]:has-text("Files")').click()
  await page.locator('chat-panel .doc').first().waitFor()
  await page.waitForTimeout(500)
  assert.equal(await page.evaluate(() => globalThis.hit), undefined)
  assert.deepEqual(dialogs, [])
  assert.deepEqual(page.faults, [])
})
