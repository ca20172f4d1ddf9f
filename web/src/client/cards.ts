/**
 * The user's ticks and votes on cards: making and taking them back, and showing at once what the server does
 * not know yet.
 *
 * They wait in the outbox like messages. Until the room's log contains a change, the timeline that is shown
 * differs from the log's by it.
 */
import type { Client } from './client.ts'
import type { ChatError } from './errors.ts'
import type { OutboxEntry } from './outbox.ts'
import type { Timeline } from './timeline.ts'
import type { Card, Message, OutgoingChange, PollChoice } from './wire.ts'

/** Number of polls for which the user's own votes are remembered. */
const KNOWN_MAX = 200
/** Number of voters that a choice lists. */
const VOTERS_MAX = 20

type CardChange = Extract<OutgoingChange, { type: 'card' }>
/** An item that is ticked, or a choice that is voted for. */
export type CardPart = { readonly item: string } | { readonly choice: string }

/**
 * The choices that the user has voted for, by message id, for polls whose lists of voters are too long to
 * contain everyone. Null while they are read.
 */
const ownVotes = new WeakMap<Client, Map<string, Set<string> | null>>()

/** Returns what is known about `client`. The first call prepares the client for showing unconfirmed changes. */
function knownOf(client: Client): Map<string, Set<string> | null> {
  let known = ownVotes.get(client)
  if (known) return known
  known = new Map()
  ownVotes.set(client, known)
  const { decorate } = client
  client.decorate = (timeline, waiting) => withPending(client, decorate(timeline, waiting), waiting)
  return known
}

/** Shows what waits in the outbox from an earlier visit. Called when a card is shown. */
export function followCards(client: Client, room_id: string): void {
  if (ownVotes.has(client)) return
  knownOf(client)
  client.room(room_id).onOutboxChange()
}

/** Whether the user has voted for a choice. */
export function isOwnVote(client: Client, { id }: Message, choice: PollChoice): boolean {
  if (choice.mine !== undefined) return choice.mine
  if (choice.users.includes(client.me ?? 0)) return true
  return choice.votes > choice.users.length && Boolean(knownOf(client).get(id)?.has(choice.id))
}

/**
 * Reads which votes are the user's own if the lists of voters do not tell. Resolves to whether they were read.
 *
 * They are read once for each poll, because others may vote often.
 */
export async function readOwnVotes(client: Client, message: Message): Promise<boolean> {
  const known = knownOf(client)
  const isUnclear = message.card?.choices?.some(({ votes, users }) => votes > users.length)
  if (!isUnclear || known.has(message.id)) return false
  if (known.size >= KNOWN_MAX) known.delete(known.keys().next().value!)
  known.set(message.id, null)
  try {
    const options = { params: { path: { id: message.id } } }
    const { data } = await client.api.GET('/api/chat/messages/{id}/', options)
    known.set(message.id, new Set(data.card?.choices?.filter(one => one.mine).map(one => one.id)))
    return true
  } catch {
    known.delete(message.id)
    return false
  }
}

/** Ticks an item or votes for a choice, or takes that back. */
export function changeCard(client: Client, message: Message, part: CardPart, on: boolean): void {
  const { id: message_id, room_id } = message
  const { outbox } = client
  rememberVote(client, message, part, on)
  const waiting = outbox
    .entriesOf(room_id)
    .filter(({ change, state }) => state === 'waiting' && change?.message_id === message_id)
  const same = waiting.findLast(({ change }) => isAbout(change!, message_id, part))
  if (on && 'choice' in part && !message.card?.multiple) {
    // The last of several votes counts, so it replaces what has not been sent.
    for (const { client_id } of waiting) outbox.discard(client_id)
  } else if (same) {
    // What has not been sent is withdrawn by its opposite.
    if (same.change!.on !== on) outbox.discard(same.client_id)
    return
  }
  const outgoing = {
    client_id: crypto.randomUUID(),
    room_id,
    content: '',
    reply_to: null,
    file: null,
    at_ms: Date.now(),
    change: { type: 'card', message_id, on, ...part },
  } as const
  try {
    outbox.add(outgoing)
  } catch (cause) {
    outbox.onRefused(outgoing, cause as ChatError)
  }
}

function rememberVote(client: Client, { id, card }: Message, part: CardPart, on: boolean): void {
  const known = knownOf(client).get(id)
  if (!known || !('choice' in part)) return
  if (on && !card?.multiple) known.clear()
  if (on) known.add(part.choice)
  else known.delete(part.choice)
}

function isAbout(change: OutgoingChange, message_id: string, part: CardPart): boolean {
  return change.type === 'card' && change.message_id === message_id && partOf(change) === partOf(part)
}

/** Returns a key of an item or a choice that differs between the two. */
function partOf(part: CardPart): string {
  return 'item' in part ? `item ${part.item}` : `choice ${part.choice}`
}

/** Applies the ticks and votes that wait in the outbox to the cards of a timeline. */
function withPending(client: Client, timeline: Timeline, waiting: readonly OutboxEntry[]): Timeline {
  if (!waiting.some(entry => entry.change?.type === 'card')) return timeline
  const entries = timeline.entries.map(entry => {
    if (entry.kind !== 'message' || !entry.message.card) return entry
    const message = waiting.reduce(
      (changed, { change, at_ms }) =>
        change?.type === 'card' && change.message_id === changed.id
          ? withChange(client, changed, change, at_ms)
          : changed,
      entry.message,
    )
    return message === entry.message ? entry : { ...entry, message }
  })
  return { ...timeline, entries }
}

/** Returns a message with a change of its card that the server does not know yet. */
export function withChange(client: Client, message: Message, change: CardChange, at_ms: number): Message {
  const card = message.card!
  if ('item' in change) return { ...message, card: withTick(card, change, client.me, at_ms) }
  const choices = card.choices?.map(choice => {
    const mine = isOwnVote(client, message, choice)
    const isReplaced = change.on && !card.multiple && choice.id !== change.choice
    if (choice.id === change.choice) return withVote(choice, client.me, mine, change.on)
    return isReplaced ? withVote(choice, client.me, mine, false) : choice
  })
  return choices ? { ...message, card: { ...card, choices } } : message
}

function withTick(
  card: Card,
  { item, on }: { readonly item: string; readonly on: boolean },
  me: number | null,
  at_ms: number,
): Card {
  const items = card.items.map(one => {
    // The first tick's name stays.
    if (one.id !== item || (one.done_by != null) === on) return one
    return { ...one, done_by: on ? me : null, done_at: on ? new Date(at_ms).toISOString() : null }
  })
  return { ...card, items }
}

function withVote(choice: PollChoice, me: number | null, mine: boolean, on: boolean): PollChoice {
  if (mine === on || me === null) return choice
  const others = choice.users.filter(id => id !== me)
  const users = on ? [...others, me].slice(0, VOTERS_MAX) : others
  return { ...choice, mine: on, votes: choice.votes + (on ? 1 : -1), users }
}

/** Presses a button, of which the card's author is told. @throws ChatError */
export async function pressButton(client: Client, { id }: Message, button: string): Promise<void> {
  const body = { button, client_id: crypto.randomUUID() }
  await client.api.POST('/api/chat/messages/{id}/card/', { params: { path: { id } }, body })
}

/** Closes one of the user's polls. @throws ChatError */
export async function closePoll(client: Client, { id }: Message): Promise<void> {
  await client.api.POST('/api/chat/messages/{id}/card/', { params: { path: { id } }, body: { close: true } })
}
