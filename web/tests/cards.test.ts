import { describe, expect, it } from 'vitest'
import { changeCard, isOwnVote, withChange } from '../src/client/cards.ts'
import type { Client } from '../src/client/client.ts'
import { Outbox, type OutboxStore, type OutgoingMessage } from '../src/client/outbox.ts'
import type { Timeline } from '../src/client/timeline.ts'
import type { Card, Message } from '../src/client/wire.ts'

const ME = 1
const ROOM = 'room'

const CHECKLIST: Card = {
  v: 1,
  kind: 'checklist',
  title: 'Unit 4',
  text: '',
  fields: [],
  items: [
    { id: 'beds', text: 'Make the beds', done_by: null, done_at: null },
    { id: 'bins', text: 'Take out the bins', done_by: 2, done_at: '2026-11-22T09:00:00Z' },
  ],
  state: null,
  link: null,
  buttons: [],
}
const POLL: Card = {
  ...CHECKLIST,
  kind: 'poll',
  items: [],
  choices: [
    { id: 'a', text: 'Monday', votes: 2, users: [ME, 2] },
    { id: 'b', text: 'Tuesday', votes: 1, users: [3] },
  ],
  multiple: false,
  closed: false,
}

function message(card: Card): Message {
  return { id: 'message', room_id: ROOM, rev: 3, seq: 3, sender: { id: 2 }, card } as unknown as Message
}

/** A client that is offline, with an outbox in memory. */
function offline(): { client: Client; stored: Map<string, OutgoingMessage> } {
  const stored = new Map<string, OutgoingMessage>()
  const store: OutboxStore = {
    all: async () => [...stored.values()],
    put: async one => void stored.set(one.client_id, one),
    delete: async id => void stored.delete(id),
  }
  const outbox = new Outbox(
    Promise.resolve(store),
    () => Promise.reject(new Error('offline')),
    () => {},
  )
  const decorate = (timeline: Timeline) => timeline
  return { client: { me: ME, outbox, decorate } as unknown as Client, stored }
}

function shown(client: Client, card: Card): Card {
  const timeline = { entries: [{ kind: 'message', seq: 3, message: message(card) }] } as unknown as Timeline
  const [entry] = client.decorate(timeline, client.outbox.entriesOf(ROOM)).entries
  return (entry as { message: Message }).message.card!
}

describe('a checklist', () => {
  it('shows a tick at once, with who made it', () => {
    const { client } = offline()
    changeCard(client, message(CHECKLIST), { item: 'beds' }, true)
    expect(shown(client, CHECKLIST).items[0]).toMatchObject({ done_by: ME, done_at: expect.any(String) })
    expect(shown(client, CHECKLIST).items[1]).toEqual(CHECKLIST.items[1])
  })

  it('keeps the name of whoever was first', () => {
    const { client } = offline()
    changeCard(client, message(CHECKLIST), { item: 'bins' }, true)
    expect(shown(client, CHECKLIST).items[1]!.done_by).toBe(2)
  })

  it('withdraws a tick that has not been sent, and stores what is left', async () => {
    const { client, stored } = offline()
    const one = message(CHECKLIST)
    // The first one is being sent, so the others wait.
    changeCard(client, one, { item: 'beds' }, true)
    changeCard(client, one, { item: 'bins' }, false)
    expect(shown(client, CHECKLIST).items.map(item => item.done_by)).toEqual([ME, null])
    changeCard(client, one, { item: 'bins' }, true)
    expect(shown(client, CHECKLIST)).toMatchObject({ items: [{ done_by: ME }, { done_by: 2 }] })
    await Promise.resolve()
    expect([...stored.values()].map(entry => entry.change)).toEqual([
      { type: 'card', message_id: 'message', on: true, item: 'beds' },
    ])
  })
})

describe('a poll', () => {
  it('of which one choice counts has the last of the votes that were made offline', () => {
    const { client } = offline()
    const poll = {
      ...POLL,
      choices: POLL.choices!.map(one => ({ ...one, users: [3], votes: 1, mine: false })),
    }
    for (const choice of ['a', 'b', 'a']) changeCard(client, message(poll), { choice }, true)
    const own = shown(client, poll).choices!.filter(one => one.mine)
    expect(own.map(one => one.id)).toEqual(['a'])
    const votes = client.outbox.entriesOf(ROOM).map(({ change }) => change)
    expect(votes.at(-1)).toMatchObject({ choice: 'a', on: true })
    expect(votes.filter(change => change && 'choice' in change && change.choice === 'b')).toEqual([])
  })

  const vote = (card: Card, choice: string, on: boolean) => {
    const { client } = offline()
    const change = { type: 'card', message_id: 'message', choice, on } as const
    return withChange(client, message(card), change, 0).card!.choices!
  }

  it('replaces the vote for another choice', () => {
    expect(vote(POLL, 'b', true)).toEqual([
      { id: 'a', text: 'Monday', votes: 1, users: [2], mine: false },
      { id: 'b', text: 'Tuesday', votes: 2, users: [3, ME], mine: true },
    ])
  })

  it('adds to other votes where several are possible, and takes one back', () => {
    expect(vote({ ...POLL, multiple: true }, 'b', true).map(one => one.votes)).toEqual([2, 2])
    expect(vote(POLL, 'a', false).map(one => one.votes)).toEqual([1, 1])
    expect(vote(POLL, 'a', true)).toEqual(POLL.choices)
  })

  it('does not count a vote as the own one that the list of voters does not show', () => {
    const { client } = offline()
    const users = Array.from({ length: 20 }, (_, index) => index + 10)
    const choice = { id: 'a', text: 'Monday', votes: 25, users }
    expect(isOwnVote(client, message(POLL), choice)).toBe(false)
    expect(isOwnVote(client, message(POLL), { ...choice, mine: true })).toBe(true)
  })
})
