/** The rows that a timeline shows, derived from a room. */
import type { OutboxEntry } from '../../client/outbox.ts'
import type { Entry, Timeline } from '../../client/timeline.ts'
import type { Attachment, Card, Message } from '../../client/wire.ts'

export type Row =
  | { readonly kind: 'day'; readonly key: string; readonly at: Date }
  | { readonly kind: 'new'; readonly key: string }
  | {
      readonly kind: 'system'
      readonly key: string
      readonly entries: readonly Exclude<Entry, { kind: 'message' }>[]
    }
  | {
      readonly kind: 'message'
      readonly key: string
      readonly message: Message
      readonly mine: boolean
      /** First and last message of a group by one sender. */
      readonly first: boolean
      readonly last: boolean
      /** Ids of the users for whom this is the last message of the user that they have read. */
      readonly readers: string
      /** Whether another user has read the message. */
      readonly read: boolean
      readonly pending: OutboxEntry | null
    }

export type MessageRow = Extract<Row, { kind: 'message' }>

/** Whether a message links to a page that may have a preview. */
export const hasLink = ({ message, pending }: MessageRow): boolean =>
  !pending && !message.is_deleted && /https?:\/\//i.test(message.content)

/** Whether a message has a thread with replies, or is a reply in one. */
export function hasThread({ id, thread }: Message): boolean {
  return Boolean(thread && (thread.replies || thread.root_id !== id))
}

/** Consecutive messages of one sender within this time form a group. */
const GROUP_MS = 5 * 60_000

/** Returns the rows. The line "New" follows the message at `newLineAfter`; null for no line. */
export function rowsOf(
  timeline: Timeline,
  pending: readonly OutboxEntry[],
  marks: ReadonlyMap<number, number>,
  me: number,
  newLineAfter: number | null,
): Row[] {
  const rows: Row[] = []
  let day = ''
  let newLineDone = newLineAfter === null
  const direct = timeline.room.room_type === 'direct'
  /** The `seq` of the last event that belongs to the creation of the room, with its first participants. */
  let initialSeq = 1
  let lastDate = new Date(0)
  const startDay = (at: Date) => {
    lastDate = at
    const key = at.toDateString()
    if (key === day) return
    day = key
    rows.push({ kind: 'day', key: `day ${key}`, at })
  }
  for (const entry of timeline.entries) {
    if (entry.kind !== 'message') {
      if (entry.kind === 'joined' && entry.seq === initialSeq + 1) initialSeq++
      else if (!direct) addSystem(rows, entry)
      continue
    }
    const { message } = entry
    startDay(new Date(message.created_at))
    if (!newLineDone && entry.seq > newLineAfter! && message.sender.id !== me) {
      newLineDone = true
      rows.push({ kind: 'new', key: 'new' })
    }
    addMessage(rows, message, message.sender.id === me, null)
  }
  const { to, head } = timeline
  if (to === head) {
    // Failed messages stay at the end, where they cannot be overlooked.
    const isFailed = (entry: OutboxEntry) => Number(entry.state === 'failed')
    for (const entry of pending.toSorted((a, b) => isFailed(a) - isFailed(b))) {
      const at = new Date(entry.at_ms)
      if (at > lastDate) startDay(at)
      addMessage(rows, pendingMessage(entry, me), true, entry)
    }
  }
  return withReaders(rows, marks, me)
}

function addSystem(rows: Row[], entry: Exclude<Entry, { kind: 'message' }>): void {
  const before = rows.at(-1)
  if (before?.kind === 'system') {
    rows[rows.length - 1] = { ...before, entries: [...before.entries, entry] }
  } else {
    rows.push({ kind: 'system', key: `system ${entry.seq}`, entries: [entry] })
  }
}

function addMessage(rows: Row[], message: Message, mine: boolean, pending: OutboxEntry | null): void {
  const lastIndex = rows.length - 1
  const before = rows[lastIndex]
  const first = before?.kind !== 'message' || !sameGroup(before.message, message)
  if (!first) rows[lastIndex] = { ...(before as MessageRow), last: false }
  rows.push({
    kind: 'message',
    // Others choose the `client_id` of their messages, which need not differ.
    key: (mine && message.client_id) || message.id,
    message,
    mine,
    first,
    last: true,
    readers: '',
    read: false,
    pending,
  })
}

function sameGroup(a: Message, b: Message): boolean {
  const apart_ms = Math.abs(Date.parse(b.created_at) - Date.parse(a.created_at))
  return a.sender.id === b.sender.id && apart_ms < GROUP_MS && a.is_deleted === b.is_deleted
}

/** Assigns each reader to the last of the user's messages that they have read. */
function withReaders(rows: Row[], marks: ReadonlyMap<number, number>, me: number): Row[] {
  const others = [...marks].filter(([user]) => user !== me)
  const readUpTo = Math.max(0, ...others.map(([, seq]) => seq))
  const readersByRow = new Map<number, number[]>()
  for (const [user, seq] of others) {
    const index = rows.findLastIndex(
      row => row.kind === 'message' && row.mine && !row.pending && row.message.seq <= seq,
    )
    if (index >= 0) readersByRow.set(index, [...(readersByRow.get(index) ?? []), user])
  }
  return rows.map((row, index) =>
    row.kind === 'message' && row.mine && !row.pending
      ? { ...row, readers: (readersByRow.get(index) ?? []).join(' '), read: row.message.seq <= readUpTo }
      : row,
  )
}

/** Returns an outbox entry in the form of the message that will replace it. */
function pendingMessage(entry: OutboxEntry, me: number): Message {
  const at = new Date(entry.at_ms).toISOString()
  const image = entry.file?.type.startsWith('image/')
  const { mentions } = entry
  return {
    id: entry.client_id,
    room_id: entry.room_id,
    sender: { id: me, username: '', full_name: '' },
    content: entry.content,
    message_type: entry.file ? (image ? 'image' : 'file') : 'text',
    attachment: null,
    attachment_name: entry.file?.name ?? '',
    attachment_size: entry.file?.size ?? null,
    // Of a file that is being sent, its name and its size are shown.
    attachments: [entry.file, ...(entry.more ?? [])] as unknown as Attachment[],
    reply_to_id: entry.reply_to?.id ?? null,
    reply_to: entry.reply_to,
    created_at: at,
    is_edited: false,
    edited_at: null,
    is_deleted: false,
    seq: Number.MAX_SAFE_INTEGER,
    rev: 0,
    client_id: entry.client_id,
    card: entry.extras?.card as Card | undefined,
    urgent: entry.extras?.urgent as Message['urgent'],
    ...(mentions && { mentions: { users: mentions.mentions, room: mentions.mention_room } }),
  }
}
