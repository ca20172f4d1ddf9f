import { describe, expect, it } from 'vitest'
import { isSearchable } from '../src/client/search.ts'
import type { ListedRoom, User } from '../src/client/wire.ts'
import { initials } from '../src/elements/shared/avatar.ts'
import { formatDay } from '../src/elements/shared/format.ts'
import { partnerOf } from '../src/elements/shared/room-name.ts'
import { formatShortDate } from '../src/elements/shared/short-date.ts'

const NOW = new Date('2026-11-30T12:00:00')

describe('dates', () => {
  it('include the year if it is not the current one', () => {
    expect(formatDay(new Date('2026-03-05T12:00:00'), NOW)).not.toContain('2026')
    expect(formatDay(new Date('2025-12-05T12:00:00'), NOW)).toContain('2025')
    expect(formatShortDate('2026-03-05T12:00:00', NOW)).not.toContain('26')
    expect(formatShortDate('2025-12-05T12:00:00', NOW)).toContain('25')
  })

  it('are a weekday within a week, also across the turn of the year', () => {
    expect(formatShortDate('2025-12-30T12:00:00', new Date('2026-01-02T12:00:00'))).not.toMatch(/\d/)
  })
})

describe('the partner of a direct room', () => {
  const bob: User = { id: 2, username: 'bob', full_name: 'Bob Reed' }
  const me: User = { id: 1, username: 'me', full_name: '' }
  const row = (more: Partial<ListedRoom>) =>
    ({ room_type: 'direct', last_message_sender: null, ...more }) as ListedRoom

  it('is the user whom the row names, whoever wrote last', () => {
    expect(partnerOf(row({ partner: bob, last_message_sender: me }), me.id)).toBe(bob)
  })

  it('is the last sender if the server names nobody', () => {
    expect(partnerOf(row({ last_message_sender: bob }), me.id)).toBe(bob)
    expect(partnerOf(row({ last_message_sender: me }), me.id)).toBeNull()
  })

  it('does not exist in a group', () => {
    expect(partnerOf(row({ room_type: 'group', last_message_sender: bob }), me.id)).toBeNull()
  })
})

describe('initials', () => {
  it('are those of the first and last word', () => {
    expect([initials('Bob van Reed'), initials('bob'), initials('')]).toEqual(['BR', 'B', '?'])
  })
})

describe('a search term', () => {
  it('has two letters, or one character that is a word', () => {
    expect(['ab', '鍵', 'カ', '열'].every(isSearchable)).toBe(true)
    expect(['', 'a', '👍'].some(isSearchable)).toBe(false)
  })
})
