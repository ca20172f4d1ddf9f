import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Client } from '../src/client/client.ts'
import {
  idsUpTo,
  NotificationFeed,
  type UnreadNotifications,
  withNotificationFrame,
} from '../src/client/notification-feed.ts'
import { KEYWORDS_MAX, quieterRooms, timeZones, withKeyword } from '../src/client/notification-settings.ts'
import type { ListedRoom, NotificationFrame, ServerFrame } from '../src/client/wire.ts'
import { type DeviceRecord, planOf, showsLocally } from '../src/elements/notifications/device-record.ts'
import { hasToShow, isPage, noticeOf, parsePush, pathOf } from '../src/sw/push-text.ts'

const golden = (name: string) =>
  JSON.parse(
    readFileSync(new URL(`../../tests/fixtures/frames/server/${name}.json`, import.meta.url), 'utf8'),
  )

/** What one user is told of in some rooms, and the frames about it. */
class World {
  told: UnreadNotifications = []
  frames: [ServerFrame, string][] = []
  #clock_ms = Date.UTC(2026, 10, 30)

  step([kind, choice]: readonly [number, number]): void {
    const room = choice % 4
    const at = new Date(this.#clock_ms++).toISOString()
    const before = this.told.find(one => one.room_id === `r${room}`)
    if (kind < 2) {
      const id = before?.id ?? `n${choice}-${this.frames.length}`
      const one = {
        id,
        kind: 'message',
        room_id: `r${room}`,
        seq: this.frames.length,
        message_id: `m${choice}`,
      }
      const shown = { ...one, title: `Room ${room}`, body: `text ${choice}`, urgent: false }
      this.told = [{ ...shown, at }, ...this.told.filter(other => other.id !== id)]
      this.frames.push([{ type: 'notification', ...shown }, at])
    } else if (kind === 2 && before) this.#end([before.id], at)
    else if (kind === 3 && before) for (const id of idsUpTo(this.told, before.id)) this.#end([id], at)
  }

  #end(ids: readonly string[], at: string): void {
    this.told = this.told.filter(one => !ids.includes(one.id))
    this.frames.push([{ type: 'notification_gone', ids }, at])
  }
}

const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.nat(60)), { maxLength: 60 })
const folded = (start: UnreadNotifications, frames: readonly [ServerFrame, string][]) =>
  frames.reduce((list, [frame, at]) => withNotificationFrame(list, frame, at), start)

describe('the list of notifications', () => {
  it('folds to what a fresh read shows', () => {
    fc.assert(
      fc.property(steps, steps, (before, after) => {
        const world = new World()
        for (const step of before) world.step(step)
        const start = world.told
        const at = world.frames.length
        for (const step of after) world.step(step)
        expect(folded(start, world.frames.slice(at))).toEqual(world.told)
      }),
    )
  })

  it('shows the golden frames, and is the same object where nothing changes', () => {
    const list = withNotificationFrame([], golden('notification'), 'now')
    expect(list).toMatchObject([{ title: 'Boiler', kind: 'mention', seq: 4, at: 'now' }])
    expect(withNotificationFrame(list, golden('notification_gone'), 'later')).toEqual([])
    expect(withNotificationFrame(list, { type: 'notification_gone', ids: ['x'] }, 'later')).toBe(list)
    expect(withNotificationFrame(list, golden('inbox'), 'later')).toBe(list)
  })

  it('is bounded', () => {
    const told: NotificationFrame = golden('notification')
    let list: UnreadNotifications = []
    for (let n = 0; n < 400; n++) list = withNotificationFrame(list, { ...told, id: String(n) }, 'now')
    expect(list.length).toBe(300)
    expect(list[0]!.id).toBe('399')
  })

  it('is read anew for each connection, with what comes meanwhile', async () => {
    const told: NotificationFrame = golden('notification')
    const row = { ...told, updated_at: '2026-11-30T10:00:00Z' }
    const read: string[] = []
    let answer = (_rows: readonly object[]) => {}
    const client = Object.assign(new EventTarget(), {
      state: 'open',
      random: () => 0,
      api: {
        GET: () => new Promise(done => (answer = results => done({ data: { results, next: null } }))),
        POST: async (_path: string, { body }: { body: { up_to: string } }) => void read.push(body.up_to),
      },
    })
    const feed = new NotificationFeed(client as unknown as Client)
    const settled = () => new Promise(done => feed.addEventListener('read', done, { once: true }))
    const hears = (detail: object) => client.dispatchEvent(new CustomEvent('frame', { detail }))
    hears({ ...told, id: 'b', body: 'newer' })
    hears({ type: 'notification_gone', ids: ['c'] })
    let done = settled()
    answer([
      { ...row, id: 'c' },
      { ...row, id: 'b', body: 'older' },
      { ...row, id: 'a' },
    ])
    await done
    expect(feed.list.map(one => `${one.id} ${one.body}`)).toEqual(['b newer', `a ${told.body}`])
    await feed.readUpTo('a')
    expect(read).toEqual(['a'])
    expect(feed.list.map(one => one.id)).toEqual(['b'])
    client.state = 'waiting'
    client.dispatchEvent(new Event('change'))
    client.state = 'open'
    client.dispatchEvent(new Event('change'))
    done = settled()
    answer([])
    await done
    expect(feed.list).toEqual([])
  })
})

describe('settings', () => {
  it('take a keyword once, and no more than the server does', () => {
    expect(withKeyword(['lift'], ' boiler ')).toEqual(['lift', 'boiler'])
    expect(withKeyword(['Lift'], 'lift')).toBe(null)
    expect(withKeyword([], '  ')).toBe(null)
    const full = Array.from({ length: KEYWORDS_MAX }, (_, n) => String(n))
    expect(withKeyword(full, 'more')).toBe(null)
  })

  it('name the rooms of which the user is told less', () => {
    const room = { id: 'a', is_active: true, is_muted: false, level: 'all' } as ListedRoom
    const rooms = [room, { ...room, id: 'b', is_muted: true }, { ...room, id: 'c', level: 'mentions' }]
    const archived = { ...room, id: 'd', is_muted: true, is_active: false }
    expect(quieterRooms([...rooms, archived]).map(one => one.id)).toEqual(['b', 'c'])
  })

  it('offer each time zone once, also those that the device does not list', () => {
    const zones = timeZones('Europe/Berlin', 'Mars/Olympus')
    expect(zones.filter(zone => zone === 'Europe/Berlin')).toHaveLength(1)
    expect(zones).toContain('Mars/Olympus')
    expect(zones).toEqual(zones.toSorted())
  })
})

describe('this device', () => {
  const on: DeviceRecord = { user: 1, on: true, subscription: 's' }
  const granted = { permission: 'granted', key: 'k' } as const

  it('is registered anew at each start, and subscribed where it is not', () => {
    expect(planOf(on, 1, granted, 'k')).toBe('register')
    expect(planOf(on, 1, { ...granted, key: null }, 'k')).toBe('subscribe')
    expect(planOf(on, 1, granted, 'another key of the server')).toBe('subscribe')
    expect(planOf({ ...on, subscription: null }, 1, { ...granted, key: null }, 'k')).toBe('subscribe')
  })

  it('is told of nothing that is meant for someone else, or was turned off', () => {
    const nowhere = { permission: 'granted', key: null } as const
    for (const [record, user] of [
      [on, 2],
      [{ ...on, on: false }, 1],
      [null, 1],
    ] as const) {
      expect(planOf(record, user, granted, 'k')).toBe('unsubscribe')
      expect(planOf(record, user, nowhere, 'k')).toBe('nothing')
    }
    expect(planOf(on, 1, { permission: 'denied', key: null }, 'k')).toBe('nothing')
  })

  it('shows what comes while the page is open, unless pushes do or it was turned off', () => {
    expect(showsLocally(null, 1)).toBe(true)
    expect(showsLocally({ ...on, subscription: null }, 1)).toBe(true)
    expect(showsLocally(on, 1)).toBe(false)
    expect(showsLocally({ ...on, on: false }, 1)).toBe(false)
    expect(showsLocally(on, 2)).toBe(true)
  })
})

describe('a push', () => {
  const text = {
    type: 'notification',
    id: 'n',
    kind: 'message',
    room_id: 'r',
    seq: 4,
    title: 'T',
    body: 'B',
  } as const

  it('is read if it is one', () => {
    expect(parsePush(JSON.stringify({ ...text, badge: 3 }))).toMatchObject({ id: 'n', badge: 3 })
    expect(parsePush('{"type":"notification_gone","ids":["n"],"badge":0}')).toMatchObject({ ids: ['n'] })
    const others = [
      '',
      'x',
      'null',
      '1',
      '[]',
      '{}',
      '{"type":"notification"}',
      '{"type":"notification_gone"}',
    ]
    for (const other of others) expect(parsePush(other)).toBe(null)
    expect(parsePush(JSON.stringify({ ...text, type: 'later' }))).toBe(null)
  })

  it('takes the place of the last one of its room, and leads to its message', () => {
    const { title, options } = noticeOf(text, undefined, 1_000)
    expect([title, options.body, options.tag]).toEqual(['T', 'B', 'r'])
    expect(pathOf(options.data)).toBe('/chat/r/r/4')
    expect(pathOf({ ...options.data, seq: 0 })).toBe('/chat/r/r')
  })

  it('sounds once in a while for a room, and always for what is meant for its user', () => {
    const first = noticeOf(text, undefined, 0).options
    expect(first.renotify).toBe(true)
    const soon = noticeOf({ ...text, seq: 5 }, first.data, 30_000).options
    expect(soon.renotify).toBe(false)
    expect(noticeOf({ ...text, seq: 6 }, soon.data, 59_000).options.renotify).toBe(false)
    expect(noticeOf({ ...text, seq: 6 }, soon.data, 60_000).options.renotify).toBe(true)
    expect(noticeOf({ ...text, seq: 5, kind: 'mention' }, first.data, 1_000).options.renotify).toBe(true)
    expect(noticeOf({ ...text, kind: 'mention' }, first.data, 90_000).options.renotify).toBe(false)
  })

  it('is shown in any case where the browser insists on it', () => {
    const safari =
      'Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15'
    const chrome =
      'Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36'
    const firefox = 'Mozilla/5.0 (X11; Linux; rv:140.0) Gecko/20100101 Firefox/140.0'
    expect([safari, chrome, firefox].map(hasToShow)).toEqual([true, false, false])
  })

  it('opens windows of the page only', () => {
    expect(isPage('https://chat.example/chat/r/1')).toBe(true)
    expect(isPage('https://chat.example/api/docs/')).toBe(false)
  })
})
