/**
 * The user's own reactions: adding and removing them, and showing at once what the server does not know yet.
 *
 * They wait in the outbox like messages. Until the room's log contains a change, the timeline that is shown
 * differs from the log's by it.
 */
import type { Client } from './client.ts'
import type { ChatError } from './errors.ts'
import type { OutboxEntry } from './outbox.ts'
import { reactionsAfter, type Timeline } from './timeline.ts'
import type { Message, Reaction } from './wire.ts'

/** Number of messages for which the user's own emoji are remembered. */
const KNOWN_MAX = 200

/**
 * The user's own emoji by message id, for messages whose lists of users are too long to contain everyone.
 * Null while they are read.
 */
const ownEmoji = new WeakMap<Client, Map<string, Set<string> | null>>()

/** Returns what is known about `client`. The first call prepares the client for showing unconfirmed reactions. */
function knownOf(client: Client): Map<string, Set<string> | null> {
  let known = ownEmoji.get(client)
  if (known) return known
  const made = new Map<string, Set<string> | null>()
  known = made
  ownEmoji.set(client, made)
  const { decorate } = client
  client.decorate = (timeline, entries) => withPending(client, decorate(timeline, entries), entries)
  const { onRefused } = client.outbox
  client.outbox.onRefused = (message, error) => {
    made.delete(message.change?.message_id ?? '')
    onRefused(message, error)
  }
  return known
}

/** Whether the user has reacted with this emoji. */
export function isMine(client: Client, { id }: Message, { emoji, count, users, mine }: Reaction): boolean {
  if (mine !== undefined) return mine
  if (users.includes(client.me ?? 0)) return true
  return count > users.length && Boolean(knownOf(client).get(id)?.has(emoji))
}

/**
 * Reads which emoji are the user's own if the lists of users do not tell. Resolves to whether it was read.
 *
 * It is read once for each message, because others may react to it often.
 */
export async function readOwn(client: Client, message: Message): Promise<boolean> {
  const known = knownOf(client)
  const isUnclear = message.reactions?.some(({ count, users }) => count > users.length)
  if (!isUnclear || known.has(message.id)) return false
  if (known.size >= KNOWN_MAX) known.delete(known.keys().next().value!)
  known.set(message.id, null)
  try {
    const { data } = await client.api.GET('/api/chat/messages/{id}/', {
      params: { path: { id: message.id } },
    })
    known.set(message.id, new Set(data.reactions.filter(one => one.mine).map(one => one.emoji)))
    return true
  } catch {
    known.delete(message.id)
    return false
  }
}

/** Adds one of the user's reactions to a message, or removes it. */
export function react(client: Client, message: Message, emoji: string, on: boolean): void {
  const { id: message_id, room_id } = message
  const known = knownOf(client).get(message_id)
  if (on) known?.add(emoji)
  else known?.delete(emoji)
  const { outbox } = client
  const waiting = outbox
    .entriesOf(room_id)
    .find(
      ({ change, state }) =>
        state === 'waiting' &&
        change?.type === 'react' &&
        change.message_id === message_id &&
        change.emoji === emoji,
    )
  if (waiting) {
    // What has not been sent is withdrawn by its opposite.
    if (waiting.change!.on !== on) outbox.discard(waiting.client_id)
    return
  }
  const outgoing = {
    client_id: crypto.randomUUID(),
    room_id,
    content: '',
    reply_to: null,
    file: null,
    at_ms: Date.now(),
    change: { type: 'react', message_id, emoji, on },
  } as const
  try {
    outbox.add(outgoing)
  } catch (cause) {
    outbox.onRefused(outgoing, cause as ChatError)
  }
}

/** Applies the reactions that wait in the outbox to the messages of a timeline. */
function withPending(client: Client, timeline: Timeline, waiting: readonly OutboxEntry[]): Timeline {
  if (!waiting.some(entry => entry.change?.type === 'react')) return timeline
  const entries = timeline.entries.map(entry => {
    if (entry.kind !== 'message') return entry
    const message = waiting.reduce((changed, { change }) => {
      const isOfMessage = change?.type === 'react' && change.message_id === changed.id
      return isOfMessage ? withReaction(client, changed, change) : changed
    }, entry.message)
    return message === entry.message ? entry : { ...entry, message }
  })
  return { ...timeline, entries }
}

function withReaction(
  client: Client,
  message: Message,
  { emoji, on }: { readonly emoji: string; readonly on: boolean },
): Message {
  const before = message.reactions ?? []
  const reaction = before.find(one => one.emoji === emoji)
  if (Boolean(reaction && isMine(client, message, reaction)) === on) return message
  const reactions = reactionsAfter(before, { emoji, user_id: client.me ?? 0, added: on })
  return { ...message, reactions: reactions.map(one => (one.emoji === emoji ? { ...one, mine: on } : one)) }
}
