/** Demo data: a small company with its rooms. The users are `maria`, `jonas`, …, with the password `demo`. */

import { randomUUID } from 'node:crypto'
import { deflateSync } from 'node:zlib'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const PEOPLE = [
  ['maria', 'Maria Keller'],
  ['jonas', 'Jonas Brandt'],
  ['amira', 'Amira Haddad'],
  ['luca', 'Luca Ferrari'],
  ['sofia', 'Sofia Nowak'],
  ['tom', 'Tom Becker'],
  ['yuki', 'Yuki Tanaka'],
  ['elena', 'Elena Petrova'],
]

/** Fills `state` and returns users and rooms by name. */
export function seed(state, now = Date.now()) {
  const people = Object.fromEntries(PEOPLE.map(([name, full]) => [name, state.addUser(name, full).id]))
  const { maria, jonas, amira, luca, sofia, tom, yuki, elena } = people
  const at = ms => {
    state.clock = now - ms
  }
  const rooms = {}
  const says = (room, who, content, more = {}) => {
    const { message, publish } = state.post(room, who, { content, ...more })
    publish()
    return message
  }

  at(9 * DAY)
  rooms.archived = state.makeRoom({ room_type: 'group', name: 'Summer team 2026' }, maria, [jonas, sofia])
  says(rooms.archived, sofia, 'That was a good season. Thank you all!')
  rooms.archived.facts.is_active = false
  rooms.archived.facts.archived_at = state.now()
  rooms.villa = state.makeRoom({ room_type: 'property', property: 7, title: 'Villa Seeblick' }, elena, [
    maria,
    tom,
  ])
  rooms.turnover = state.makeRoom({ room_type: 'group', name: 'Turnover team' }, maria, [
    jonas,
    amira,
    luca,
    sofia,
  ])
  rooms.jonas = state.makeRoom({ room_type: 'direct' }, maria, [jonas])
  at(3 * DAY)
  rooms.boiler = state.makeRoom({ room_type: 'task', task: 42, title: 'Fix the boiler' }, maria, [
    luca,
    tom,
    jonas,
  ])
  says(rooms.villa, elena, 'New guests on Friday, two families. Please check the garden furniture too.')
  says(rooms.villa, tom, 'The parasol is broken. I ordered a new one, it comes on Wednesday.')
  at(2 * DAY)
  for (let n = 0; n < 140; n++) {
    at(2 * DAY + (140 - n) * 9 * MINUTE)
    const who = [maria, jonas, amira, luca, sofia][(n * 7) % 5]
    says(rooms.turnover, who, CHATTER[n % CHATTER.length])
  }
  at(26 * HOUR)
  says(rooms.turnover, sofia, 'Apartment 3B is done. Linen is changed, the windows are next.')
  at(26 * HOUR - MINUTE)
  says(rooms.turnover, sofia, 'The dishwasher makes a strange noise again.')
  at(25 * HOUR)
  state.join(rooms.turnover, tom, false)
  const noise = says(rooms.turnover, tom, 'I can look at it tomorrow before ten.')
  at(5 * HOUR)
  const plan = says(
    rooms.turnover,
    maria,
    'Good morning! Three check-outs today: 3B, 4A and the garden house.',
  )
  at(5 * HOUR - MINUTE)
  says(rooms.turnover, maria, 'The list is here: https://aristay.example/turnovers/2026-11-22')
  at(5 * HOUR - 4 * MINUTE)
  says(rooms.turnover, amira, 'I take 4A and the garden house.', { reply_to: plan.id })
  at(4 * HOUR)
  const photo = addFile(state, 'kitchen-4a.png', 'image/png', picture(640, 480, 1))
  says(rooms.turnover, amira, 'Look what they left in the kitchen', { file: photo })
  at(4 * HOUR - 2 * MINUTE)
  says(rooms.turnover, jonas, '😅😅')
  at(4 * HOUR - 3 * MINUTE)
  const gone = says(rooms.turnover, jonas, 'wrong room, sorry')
  state.remove(gone)
  at(3 * HOUR)
  says(
    rooms.turnover,
    maria,
    'Please take a picture of the damage before you clean. I need it for the deposit, and write down the time.',
    {
      reply_to: noise.id,
    },
  )
  at(2 * HOUR)
  const report = addFile(state, 'inventory-4A.pdf', 'application/pdf', Buffer.alloc(184_320, '%PDF-1.4 '))
  says(rooms.turnover, amira, '', { file: report })
  at(40 * MINUTE)
  const mine = says(rooms.turnover, maria, 'Perfect, thank you Amira. I have sent it to the owner.')
  at(39 * MINUTE)
  state.edit(mine, 'Perfect, thank you Amira. I have sent it to the owner, she answers today.')
  for (const reader of [jonas, amira, sofia]) rooms.turnover.marks.set(reader, rooms.turnover.log.length)
  rooms.turnover.marks.set(maria, rooms.turnover.log.length)
  at(12 * MINUTE)
  says(rooms.turnover, sofia, '3B is ready. Keys are in the box, the code is the usual one.')
  at(11 * MINUTE)
  says(rooms.turnover, sofia, 'Who has the vacuum cleaner?')
  at(4 * MINUTE)
  says(rooms.turnover, luca, 'With me in the garden house, I bring it over in ten minutes.')

  at(3 * HOUR)
  says(rooms.boiler, luca, 'Pressure is at 0.4 bar. I think it is the expansion vessel.')
  at(170 * MINUTE)
  says(rooms.boiler, luca, '', { file: addFile(state, 'boiler.png', 'image/png', picture(480, 640, 2)) })
  at(160 * MINUTE)
  says(rooms.boiler, maria, 'Can you order the part? The guests arrive tomorrow at four.')
  at(26 * MINUTE)
  says(rooms.boiler, luca, 'Ordered, it comes tomorrow morning.')
  at(8 * HOUR)
  says(rooms.jonas, jonas, 'Do you have a minute later?')
  at(7 * HOUR)
  says(rooms.jonas, maria, 'Yes, call me after two.')
  rooms.jonas.marks.set(maria, rooms.jonas.log.length)
  rooms.jonas.marks.set(jonas, rooms.jonas.log.length)
  at(30 * HOUR)
  rooms.yuki = state.makeRoom({ room_type: 'direct' }, yuki, [maria])
  says(rooms.yuki, yuki, 'おはようございます。鍵はどこにありますか？')
  at(50 * HOUR)
  rooms.owners = state.makeRoom({ room_type: 'group', name: 'Owners' }, elena, [maria, tom])
  says(rooms.owners, elena, 'The yearly meeting is on the fifth of December.')
  rooms.owners.parts.get(maria).is_muted = true
  at(4 * DAY)
  rooms.harbour = state.makeRoom({ room_type: 'property', property: 8, title: 'Harbour Loft' }, maria, [
    jonas,
  ])
  rooms.tiles = state.makeRoom({ room_type: 'task', task: 43, title: 'Tiles in the bathroom of 2C' }, maria, [
    tom,
  ])
  says(rooms.tiles, tom, 'Grout is dry. Finished!')
  rooms.tiles.marks.set(maria, rooms.tiles.log.length)
  state.clock = null
  return { people, rooms }
}

const CHATTER = [
  'Keys are back.',
  'Garden house: towels are missing, I take some from the store.',
  'Thanks!',
  'Check-out was at ten, they left everything tidy.',
  'Can someone bring two light bulbs to 4A, the small ones with the screw?',
  'On my way.',
  'The lift is out of order again. I have told the caretaker, he comes at noon.',
  'ok',
]

function addFile(state, name, mime, data) {
  const id = randomUUID()
  state.files.set(id, { name, mime, size: data.length, data })
  return id
}

/** Returns a PNG that resembles a room: wall, floor, window. */
export function picture(width, height, kind) {
  const rows = []
  for (let y = 0; y < height; y++) {
    const row = Buffer.alloc(1 + width * 3)
    for (let x = 0; x < width; x++) {
      const floor = y > height * 0.66
      const window = x > width * 0.55 && x < width * 0.85 && y > height * 0.15 && y < height * 0.45
      const light = 1 - Math.hypot(x / width - 0.7, y / height - 0.3) * 0.7
      const tone = window
        ? [235, 242, 250]
        : floor
          ? [150, 112, 84]
          : kind === 1
            ? [214, 205, 190]
            : [176, 190, 197]
      tone.forEach((value, at) => {
        row[1 + x * 3 + at] = Math.max(0, Math.min(255, value * (window ? 1 : light)))
      })
    }
    rows.push(row)
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 2, 0, 0, 0], 8)
  const parts = [
    ['IHDR', head],
    ['IDAT', deflateSync(Buffer.concat(rows))],
    ['IEND', Buffer.alloc(0)],
  ]
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    ...parts.map(([kind, data]) => block(kind, data)),
  ])
}

function block(kind, data) {
  const body = Buffer.concat([Buffer.from(kind), data])
  const out = Buffer.alloc(body.length + 8)
  out.writeUInt32BE(data.length, 0)
  out.set(body, 4)
  out.writeUInt32BE(crc(body), body.length + 4)
  return out
}

function crc(data) {
  let sum = 0xffffffff
  for (const byte of data) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1
  }
  return (sum ^ 0xffffffff) >>> 0
}
