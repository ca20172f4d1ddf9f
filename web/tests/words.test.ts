import { describe, expect, it } from 'vitest'
import type { ListRoom, User } from '../src/client/wire.ts'
import { initials } from '../src/elements/avatar.ts'
import { momentOf } from '../src/elements/moment.ts'
import { partnerOf } from '../src/elements/room-name.ts'
import { isSearched } from '../src/elements/search.ts'
import { dayOf } from '../src/elements/when.ts'

const NOW = new Date('2026-11-30T12:00:00')

describe('dates', () => {
  it('have their year when it is another one', () => {
    expect(dayOf(new Date('2026-03-05T12:00:00'), NOW)).not.toContain('2026')
    expect(dayOf(new Date('2025-12-05T12:00:00'), NOW)).toContain('2025')
    expect(momentOf('2026-03-05T12:00:00', NOW)).not.toContain('26')
    expect(momentOf('2025-12-05T12:00:00', NOW)).toContain('25')
  })

  it('are a weekday for a week also over the turn of a year', () => {
    expect(momentOf('2025-12-30T12:00:00', new Date('2026-01-02T12:00:00'))).not.toMatch(/\d/)
  })
})

describe('the other one of a direct room', () => {
  const bob: User = { id: 2, username: 'bob', full_name: 'Bob Reed' }
  const me: User = { id: 1, username: 'me', full_name: '' }
  const row = (more: Partial<ListRoom>) =>
    ({ room_type: 'direct', last_message_sender: null, ...more }) as ListRoom

  it('is whom the row names, whoever wrote last', () => {
    expect(partnerOf(row({ partner: bob, last_message_sender: me }), me.id)).toBe(bob)
  })

  it('is whoever wrote last where the server names nobody', () => {
    expect(partnerOf(row({ last_message_sender: bob }), me.id)).toBe(bob)
    expect(partnerOf(row({ last_message_sender: me }), me.id)).toBeNull()
  })

  it('is nobody in a group', () => {
    expect(partnerOf(row({ room_type: 'group', last_message_sender: bob }), me.id)).toBeNull()
  })
})

describe('initials', () => {
  it('are those of the first and last word', () => {
    expect([initials('Bob van Reed'), initials('bob'), initials('')]).toEqual(['BR', 'B', '?'])
  })
})

describe('what is searched', () => {
  it('is two letters, or one sign that is a word', () => {
    expect(['ab', '鍵', 'カ', '열'].every(isSearched)).toBe(true)
    expect(['', 'a', '👍'].some(isSearched)).toBe(false)
  })
})
