/**
 * A stretch of one room's log, as a value.
 *
 * The law: folding events onto a snapshot equals a fresh snapshot. So it doesn't matter whether something
 * was seen live, replayed after a lost line, or read by REST.
 */
import type { EventFrame, LogEvent, Message, Participant, RoomFacts } from './wire.ts'

/** Something that a timeline shows at its `seq`. */
export type Entry =
  | { readonly kind: 'message'; readonly seq: number; readonly message: Message }
  | { readonly kind: 'joined' | 'left'; readonly seq: number; readonly participant: Participant }
  | { readonly kind: 'changed'; readonly seq: number; readonly room: RoomFacts }

/** What a timeline knows of its room. `modified_at` moves with every message and is the list's. */
export type Facts = Omit<RoomFacts, 'modified_at'>

/** The events numbered `from + 1` to `to` of a log that ends at `head`. */
export interface Timeline {
  readonly roomId: string
  readonly epoch: string
  readonly from: number
  readonly to: number
  readonly head: number
  /** In rising `seq`. */
  readonly entries: readonly Entry[]
  /** Who is in the room, by user id. */
  readonly people: ReadonlyMap<number, Participant>
  readonly room: Facts
}

/** How many entries a timeline holds; beyond, the end that isn't read is let go. */
export const ENTRIES_MAX = 800

/** How many messages stay while somebody looks at the end, and how many more there are before others go. */
export const NEAR_END_MAX = 200
const NEAR_END_SLACK = 50

/** Text of a message that was deleted. */
export const DELETED = '[Message deleted]'

/** Starts a timeline from a room and a page of its log, `events`, that begins after `from`. */
export function openTimeline(
  room: RoomFacts & { readonly participants: readonly Participant[] },
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
    room: factsOf(room),
  }
}

/** Whether the timeline reaches the end of the log, so that live events extend it. */
export function atHead(timeline: Timeline): boolean {
  return timeline.to === timeline.head
}

/** Puts the next event on top. One that is already in changes nothing; one that leaves a hole may not come here. */
export function fold(timeline: Timeline, event: LogEvent): Timeline {
  if (event.seq <= timeline.head) return timeline
  const follows = atHead(timeline)
  const next = { ...timeline, head: event.seq, to: follows ? event.seq : timeline.to }
  const told = withFacts(next, event)
  const changed = withChange(told, event)
  const entry = follows ? entryOf(event) : null
  return entry ? { ...changed, entries: [...changed.entries, entry] } : changed
}

/** Adds an older stretch, the events after `from` up to where the timeline begins. */
export function extendOlder(timeline: Timeline, events: readonly LogEvent[], from: number): Timeline {
  const older = entriesOf(events, from, timeline.from)
  const grown = { ...timeline, from, entries: [...older, ...timeline.entries] }
  const extra = grown.entries.length - ENTRIES_MAX
  if (extra <= 0) return grown
  const entries = grown.entries.slice(0, ENTRIES_MAX)
  return { ...grown, entries, to: entries.at(-1)!.seq }
}

/** Adds a newer stretch, the events after where the timeline ends, up to `to`. */
export function extendNewer(timeline: Timeline, events: readonly LogEvent[], to: number): Timeline {
  const newer = entriesOf(events, timeline.to, to)
  return trimmed({ ...timeline, to, entries: [...timeline.entries, ...newer] })
}

/** Lets go of the oldest entries beyond what a timeline holds. */
export function trimmed(timeline: Timeline): Timeline {
  return tailOf(timeline, ENTRIES_MAX)
}

/** Gives the last `count` entries of a timeline that reaches the end of its log. */
export function tailOf(timeline: Timeline, count: number): Timeline {
  const entries = timeline.entries.slice(-count)
  if (entries.length === timeline.entries.length) return timeline
  return { ...timeline, entries, from: entries[0]!.seq - 1 }
}

/**
 * Lets go of what lies far above the end, for each message that comes costs what there is to draw.
 *
 * Counted in messages, which take up room: a view of folded lines would ask for what was let go at once.
 */
export function nearEnd(timeline: Timeline): Timeline {
  const messages = timeline.entries.filter(entry => entry.kind === 'message')
  if (messages.length <= NEAR_END_MAX + NEAR_END_SLACK) return trimmed(timeline)
  const { seq } = messages.at(-NEAR_END_MAX)!
  const entries = timeline.entries.filter(entry => entry.seq >= seq)
  return { ...timeline, entries, from: seq - 1 }
}

/** Gives the message with `id`, if the stretch has it. */
export function messageOf(timeline: Timeline, id: string): Message | null {
  for (const entry of timeline.entries) {
    if (entry.kind === 'message' && entry.message.id === id) return entry.message
  }
  return null
}

function factsOf(room: RoomFacts): Facts {
  const { id, name, room_type, task, property, title, is_active, archived_at } = room
  return { id, name, room_type, task, property, title: title ?? null, is_active, archived_at }
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

/** What a timeline shows of an event, if anything. */
function entryOf(event: LogEvent): Entry | null {
  const known = event as EventFrame
  const { seq } = known
  switch (known.type) {
    case 'chat_message':
      return { kind: 'message', seq, message: plain(known.message) }
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

/** The same message, whatever signature its file's address carries. */
function plain(message: Message): Message {
  if (message.is_deleted) return { ...message, content: DELETED, attachment: null }
  return message.attachment?.includes('?')
    ? { ...message, attachment: message.attachment.split('?')[0]! }
    : message
}

/** People and room as they are after `event`. */
function withFacts(timeline: Timeline, event: LogEvent): Timeline {
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
      return { ...timeline, room: factsOf(known.room) }
    default:
      return timeline
  }
}

/** The entries as they are after an edit or a deletion, the quotes of that message too. */
function withChange(timeline: Timeline, event: LogEvent): Timeline {
  const known = event as EventFrame
  if (known.type !== 'message_updated' && known.type !== 'message_deleted') return timeline
  const id = known.type === 'message_updated' ? known.message.id : known.message_id
  let touched = false
  const entries = timeline.entries.map(entry => {
    if (entry.kind !== 'message') return entry
    const message =
      entry.message.id === id ? changed(entry.message, known) : quoting(entry.message, id, known)
    if (message === entry.message) return entry
    touched = true
    return { ...entry, message }
  })
  return touched ? { ...timeline, entries } : timeline
}

type Change = EventFrame & { type: 'message_updated' | 'message_deleted' }

/** `message` after its own edit or deletion; the higher `rev` stays. */
function changed(message: Message, event: Change): Message {
  if (event.type === 'message_deleted') {
    const { removed_by } = event
    return plain({ ...message, is_deleted: true, removed_by, rev: Math.max(message.rev, event.seq) })
  }
  return event.message.rev >= message.rev && !message.is_deleted ? plain(event.message) : message
}

/** `message` after an edit or the deletion of the one that it answers. */
function quoting(message: Message, id: string, event: Change): Message {
  if (message.reply_to_id !== id || !message.reply_to) return message
  const text = event.type === 'message_deleted' ? DELETED : event.message.content
  return { ...message, reply_to: { ...message.reply_to, content: quoted(text) } }
}

/** As much of `text` as a quote shows: its first 100 characters. */
export function quoted(text: string): string {
  return [...text].slice(0, 100).join('')
}
