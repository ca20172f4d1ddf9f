import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Participant, User } from '../src/client/wire.ts'
import { beginsWith, mentionOf, mentionsIn, rangesOf, typedMention } from '../src/elements/text/mentions.ts'

const BOB: User = { id: 2, username: 'bob', full_name: 'Bob Reed' }
const CAROL: User = { id: 3, username: 'carol.m', full_name: 'Carol Marsh' }
const BOBBY: User = { id: 4, username: 'bobby', full_name: 'Bob Reed Junior' }
const USERS = [BOB, CAROL, BOBBY]
const PEOPLE = peopleOf(USERS)

function peopleOf(users: readonly User[]): Map<number, Participant> {
  return new Map(users.map(user => [user.id, { user } as Participant]))
}

/** Returns the parts of a text that mention someone, with whom they mention. */
function mentioned(text: string, users: number[], room = false, people = PEOPLE) {
  return rangesOf(text, { users, room }, people).map(({ from, to, user }) => [text.slice(from, to), user])
}

describe('the mentions in a text that is sent', () => {
  it.each([
    ['@Bob Reed, please look', [2]],
    ['@bob please, and @carol.m.', [2, 3]],
    ['@Carol\u00a0Marsh and then @BOB REED', [3, 2]],
    ['@Bob Reed Junior', [4]],
    ['(@bob) @bob', [2]],
    ['mail bob@bob.example or @bobbx', []],
    ['Bob Reed', []],
    ['@@bob', []],
    ['@room', []],
  ])('of %s', (text, users) => {
    expect(mentionsIn(text, USERS, false)).toEqual({ mentions: users, mention_room: false })
  })

  it('include everyone only if that is allowed', () => {
    expect(mentionsIn('@room now', USERS, true)).toEqual({ mentions: [], mention_room: true })
    expect(mentionsIn('@rooms now', USERS, true).mention_room).toBe(false)
  })

  it('keep a user who was mentioned before and has another name now', () => {
    const text = '@Old\u00a0Name is here'
    const before = rangesOf(text, { users: [2], room: false }, PEOPLE)
    expect(mentionsIn(text, USERS, false, before).mentions).toEqual([2])
    expect(mentionsIn('is here', USERS, false, []).mentions).toEqual([])
  })
})

describe('the mentions in a message', () => {
  it('are those of its ids only', () => {
    expect(mentioned('@bob and @carol.m', [3])).toEqual([['@carol.m', 3]])
    expect(mentioned('@bob', [])).toEqual([])
    expect(mentioned('@room', [], true)).toEqual([['@room', null]])
    expect(mentioned('@room', [2])).toEqual([])
  })

  it('are found by the present name, and by where they are if the name was another one', () => {
    const people = peopleOf([{ ...BOB, full_name: 'Robert Reed' }, CAROL])
    expect(mentioned('Ask @Bob\u00a0Stone or @Carol Marsh.', [2, 3], false, people)).toEqual([
      ['@Bob\u00a0Stone', 2],
      ['@Carol Marsh', 3],
    ])
    expect(mentioned('Ask @Bobby, or @channel', [2], false, people)).toEqual([])
    expect(mentioned('Ask @Bob\u00a0Stone, or @channel', [2], false, people)).toEqual([
      ['@Bob\u00a0Stone', 2],
    ])
  })

  it('do not overlap, and lie within the text', () => {
    const part = fc.constantFrom('@', 'bob', 'Bob Reed', ' ', '\u00a0', 'x', ',', 'room', '\n', '😀')
    const texts = fc.array(part, { maxLength: 40 }).map(parts => parts.join(''))
    fc.assert(
      fc.property(texts, fc.subarray([2, 3, 4]), fc.boolean(), (text, users, room) => {
        let end = 0
        for (const { from, to, user } of rangesOf(text, { users, room }, PEOPLE)) {
          expect(from).toBeGreaterThanOrEqual(end)
          expect(to).toBeGreaterThan(from)
          expect(text[from]).toBe('@')
          expect(user === null ? room : users.includes(user)).toBe(true)
          end = to
        }
        expect(end).toBeLessThanOrEqual(text.length)
      }),
    )
  })

  it('are found quickly in a text that is made to be slow', () => {
    const many = peopleOf(
      Array.from({ length: 100 }, (_, n) => ({ id: n, username: `u${n}`, full_name: 'a a'.repeat(40) + n })),
    )
    const started = performance.now()
    rangesOf(' @a'.repeat(6_000), { users: [...many.keys()], room: true }, many)
    expect(performance.now() - started).toBeLessThan(500)
  })
})

describe('what is typed', () => {
  it.each([
    ['@', { from: 0, query: '' }],
    ['Hello @bo', { from: 6, query: 'bo' }],
    ['Hello @Bob Re', { from: 6, query: 'Bob Re' }],
    ['Hello @Bob Reed is', null],
    ['@Bob\u00a0Reed', null],
    ['bob@ex', null],
    ['Hello', null],
  ])('in %s', (text, typed) => expect(typedMention(text, text.length)).toEqual(typed))

  it('is completed to a name without breaks, or to the user name if others have the same', () => {
    expect(mentionOf(BOB, USERS)).toBe('@Bob\u00a0Reed')
    expect(mentionOf(BOB, [...USERS, { id: 9, username: 'b2', full_name: 'bob reed' }])).toBe('@bob')
    expect(mentionsIn(mentionOf(CAROL, USERS), USERS, false).mentions).toEqual([3])
  })

  it('is the beginning of a word of the name, with accents or without', () => {
    expect(beginsWith('José Álvarez', 'alv')).toBe(true)
    expect(beginsWith('José Álvarez', 'jose á')).toBe(true)
    expect(beginsWith('José Álvarez', 'ose')).toBe(false)
  })
})
