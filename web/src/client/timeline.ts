/**
 * A contiguous range of one room's log, as an immutable value.
 *
 * Invariant: folding events onto a snapshot equals a fresh snapshot. So it makes no difference whether an
 * event arrived live, was replayed after a reconnect, or was read by REST.
 */
import type {
  Acknowledgement,
  EventFrame,
  LogEvent,
  Message,
  Participant,
  Reaction,
  ReactionChange,
  RoomInfo,
  Thread,
} from './wire.ts'

/** What a timeline shows at a `seq`. */
export type Entry =
  | { readonly kind: 'message'; readonly seq: number; readonly message: Message }
  | { readonly kind: 'joined' | 'left'; readonly seq: number; readonly participant: Participant }
  | { readonly kind: 'changed'; readonly seq: number; readonly room: RoomInfo }

/** The timeline's room. `modified_at` is left out because it changes with every message. */
export type TimelineRoom = Omit<RoomInfo, 'modified_at'>

/** The events numbered `from + 1` to `to` of a log that ends at `head`. */
export interface Timeline {
  readonly roomId: string
  readonly epoch: string
  readonly from: number
  readonly to: number
  readonly head: number
  /** In ascending `seq`. */
  readonly entries: readonly Entry[]
  /** The current participants, by user id. */
  readonly people: ReadonlyMap<number, Participant>
  readonly room: TimelineRoom
}

/** Maximum number of entries; beyond it, the end away from the reader is dropped. */
export const ENTRIES_MAX = 800

/** Messages kept while the reader is at the end, and how many more accumulate before the rest is dropped. */
export const RECENT_MESSAGES_MAX = 200
const RECENT_MESSAGES_SLACK = 50

/** Number of users that a reaction lists. */
const REACTION_USERS_MAX = 20

/** Number of acknowledgements that an urgent message lists. */
const ACKS_MAX = 200

/** The content of a deleted message. */
export const DELETED = '[Message deleted]'

/** Creates a timeline from a room and a page of its log, the events after `from` up to `to`. */
export function openTimeline(
  room: RoomInfo & { readonly participants: readonly Participant[] },
  epoch: string,
  head: number,
  from: number,
  to: number,
  events: readonly LogEvent[],
): Timeline {
  return {
    roomId: room.id,
    epoch,
    from,
    to,
    head,
    entries: entriesOf(events, from, to),
    people: new Map(room.participants.filter(one => !one.left_at).map(one => [one.user.id, one])),
    room: roomInfoOf(room),
  }
}

/** Leaves out the replies that stand in their threads alone. */
export function withoutThreads(timeline: Timeline): Timeline {
  const entries = timeline.entries.filter(
    entry => entry.kind !== 'message' || entry.message.in_timeline !== false,
  )
  return { ...timeline, entries }
}

/** Whether the timeline reaches the end of the log, so that live events extend it. */
export function atHead(timeline: Timeline): boolean {
  return timeline.to === timeline.head
}

/** Applies the next event. A known event changes nothing; the caller must not pass one that leaves a gap. */
export function fold(timeline: Timeline, event: LogEvent): Timeline {
  if (event.seq <= timeline.head) return timeline
  const follows = atHead(timeline)
  const next = { ...timeline, head: event.seq, to: follows ? event.seq : timeline.to }
  const changed = withMessageChange(withRoomChange(next, event), event)
  const entry = follows ? entryOf(event) : null
  return entry ? { ...changed, entries: [...changed.entries, entry] } : changed
}

/** Prepends an older page, the events after `from` up to the beginning of the timeline. */
export function extendOlder(timeline: Timeline, events: readonly LogEvent[], from: number): Timeline {
  const older = entriesOf(events, from, timeline.from)
  const grown = { ...timeline, from, entries: [...older, ...timeline.entries] }
  if (grown.entries.length <= ENTRIES_MAX) return grown
  const entries = grown.entries.slice(0, ENTRIES_MAX)
  return { ...grown, entries, to: entries.at(-1)!.seq }
}

/** Appends a newer page, the events after the end of the timeline up to `to`. */
export function extendNewer(timeline: Timeline, events: readonly LogEvent[], to: number): Timeline {
  const newer = entriesOf(events, timeline.to, to)
  return lastEntries({ ...timeline, to, entries: [...timeline.entries, ...newer] })
}

/** Drops all but the last `count` entries. */
export function lastEntries(timeline: Timeline, count = ENTRIES_MAX): Timeline {
  const entries = timeline.entries.slice(-count)
  if (entries.length === timeline.entries.length) return timeline
  return { ...timeline, entries, from: entries[0]!.seq - 1 }
}

/**
 * Drops what lies far above the end, because the cost of each new message grows with what is rendered.
 *
 * The limit is in messages, which have a height: a view of collapsed lines would load the dropped entries
 * again immediately.
 */
export function trimToRecent(timeline: Timeline): Timeline {
  const messages = timeline.entries.filter(entry => entry.kind === 'message')
  if (messages.length <= RECENT_MESSAGES_MAX + RECENT_MESSAGES_SLACK) return lastEntries(timeline)
  const { seq } = messages.at(-RECENT_MESSAGES_MAX)!
  const entries = timeline.entries.filter(entry => entry.seq >= seq)
  return { ...timeline, entries, from: seq - 1 }
}

/** Returns the message with `id` if it is in range. */
export function findMessage(timeline: Timeline, id: string): Message | null {
  for (const entry of timeline.entries) {
    if (entry.kind === 'message' && entry.message.id === id) return entry.message
  }
  return null
}

/** The fields of a room that a timeline has: those of the frames, of which REST returns more. */
const ROOM_FIELDS =
  'id name room_type task property title is_active archived_at posting slow_mode_seconds pinning history edit_history description urgent'.split(
    ' ',
  ) as (keyof TimelineRoom)[]

function roomInfoOf(room: RoomInfo): TimelineRoom {
  return Object.fromEntries(ROOM_FIELDS.map(field => [field, room[field] ?? null])) as unknown as TimelineRoom
}

function entriesOf(events: readonly LogEvent[], from: number, to: number): Entry[] {
  const entries: Entry[] = []
  for (const event of events) {
    if (event.seq <= from || event.seq > to) continue
    const entry = entryOf(event)
    if (entry) entries.push(entry)
  }
  return entries
}

/** Returns the entry for an event, or null if a timeline shows none. */
function entryOf(event: LogEvent): Entry | null {
  const known = event as EventFrame
  const { seq } = known
  switch (known.type) {
    case 'chat_message':
      return { kind: 'message', seq, message: normalized(known.message) }
    case 'participant_joined':
      return { kind: 'joined', seq, participant: known.participant }
    case 'participant_left':
      return { kind: 'left', seq, participant: known.participant }
    case 'room_updated':
      return { kind: 'changed', seq, room: known.room }
    default:
      return null
  }
}

/** Removes the signature from the attachment's URL, and the content of a deleted message. */
function normalized(message: Message): Message {
  if (message.is_deleted) {
    const gone = {
      attachment: null,
      attachments: [],
      reactions: [],
      card: null,
      pinned_at: null,
      pinned_by: null,
    }
    return { ...message, content: DELETED, ...gone, urgent: null }
  }
  return message.attachment?.includes('?')
    ? { ...message, attachment: message.attachment.split('?')[0]! }
    : message
}

/** Applies an event to the room and its participants. */
function withRoomChange(timeline: Timeline, event: LogEvent): Timeline {
  const known = event as EventFrame
  switch (known.type) {
    case 'participant_joined':
    case 'participant_left':
    case 'participant_updated': {
      const { id } = known.participant.user
      const people = new Map(timeline.people)
      if (known.type === 'participant_left') people.delete(id)
      else people.set(id, { ...people.get(id), ...known.participant })
      return { ...timeline, people }
    }
    case 'room_updated':
      return { ...timeline, room: roomInfoOf(known.room) }
    default:
      return timeline
  }
}

/** Applies an event to the message that it changes, to the quotes of that message, and to the root of its thread. */
function withMessageChange(timeline: Timeline, event: LogEvent): Timeline {
  const known = event as EventFrame
  const root = threadOf(known)?.root_id
  if (!root && known.type !== 'message_updated' && !('message_id' in known)) return timeline
  const id = 'message' in known ? known.message.id : (known as { message_id: string }).message_id
  let anyChanged = false
  const entries = timeline.entries.map(entry => {
    if (entry.kind !== 'message') return entry
    const message =
      entry.message.id === id
        ? changedMessage(entry.message, known)
        : entry.message.id === root
          ? withReply(entry.message, known)
          : withQuote(entry.message, id, known)
    if (message === entry.message) return entry
    anyChanged = true
    return { ...entry, message }
  })
  return anyChanged ? { ...timeline, entries } : timeline
}

/** Returns the thread whose sums an event changes. */
function threadOf(event: EventFrame): Thread | null | undefined {
  if (event.type === 'chat_message') return event.message.thread
  return event.type === 'message_deleted' ? event.thread : null
}

/** Returns the root of a thread after a reply has been sent or deleted. */
function withReply(message: Message, event: EventFrame): Message {
  const { seq } = event
  if (seq <= message.rev) return message
  if (event.type !== 'chat_message') return { ...message, rev: seq, thread: threadOf(event)! }
  const { root_id } = event.message.thread!
  const replies = (message.thread?.replies ?? 0) + 1
  return { ...message, rev: seq, thread: { root_id, replies, last_reply_at: event.message.created_at } }
}

/** Returns the message after an event; a message that was read later than the event contains it already. */
function changedMessage(message: Message, event: EventFrame): Message {
  const { seq } = event
  switch (event.type) {
    case 'message_deleted': {
      const { removed_by } = event
      return normalized({ ...message, is_deleted: true, removed_by, rev: Math.max(message.rev, seq) })
    }
    case 'message_updated':
      return event.message.rev >= message.rev && !message.is_deleted ? normalized(event.message) : message
    case 'reaction':
    case 'message_acknowledged':
    case 'message_pinned': {
      if (seq <= message.rev || message.is_deleted) return message
      if (event.type === 'reaction')
        return { ...message, rev: seq, reactions: reactionsAfter(message.reactions ?? [], event) }
      if (event.type === 'message_acknowledged') return acknowledged(message, event)
      const { pinned_at, pinned_by } = event
      return { ...message, rev: seq, pinned_at, pinned_by }
    }
    case 'card_changed':
      if (event.rev <= message.rev || message.is_deleted) return message
      return { ...message, rev: event.rev, card: event.card }
    case 'card_action':
      return seq <= message.rev ? message : { ...message, rev: seq }
    default:
      return message
  }
}

/** Returns an urgent message after a user has acknowledged it. */
function acknowledged(message: Message, { seq, user_id, at }: Acknowledgement & { seq: number }): Message {
  const { urgent } = message
  if (!urgent) return message
  const acks = [...urgent.acks, { user_id, at }].slice(0, ACKS_MAX)
  return { ...message, rev: seq, urgent: { ...urgent, acks, ack_count: urgent.ack_count + 1 } }
}

/** Returns the reactions after one has been added or removed; new emoji come last. */
export function reactionsAfter(
  reactions: readonly Reaction[],
  { emoji, user_id, added }: ReactionChange,
): readonly Reaction[] {
  if (!reactions.some(one => one.emoji === emoji)) {
    return added ? [...reactions, { emoji, count: 1, users: [user_id] }] : reactions
  }
  return reactions
    .map(one => {
      if (one.emoji !== emoji) return one
      const others = one.users.filter(id => id !== user_id)
      if (!added) return { ...one, count: one.count - 1, users: others }
      return { ...one, count: one.count + 1, users: [...others, user_id].slice(0, REACTION_USERS_MAX) }
    })
    .filter(one => one.count > 0)
}

/** Returns the message after an edit or the deletion of the message that it quotes. */
function withQuote(message: Message, id: string, event: EventFrame): Message {
  if (message.reply_to_id !== id || !message.reply_to?.sender) return message
  if (event.type !== 'message_deleted' && event.type !== 'message_updated') return message
  const text = event.type === 'message_deleted' ? DELETED : event.message.content
  return { ...message, reply_to: { ...message.reply_to, content: quotePreview(text) } }
}

/** Returns the part of `text` that a quote shows: its first 100 characters. */
function quotePreview(text: string): string {
  return [...text].slice(0, 100).join('')
}
