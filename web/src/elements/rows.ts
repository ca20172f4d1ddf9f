/** What a timeline shows, line by line: a pure function of the room. */
import type { OutboxEntry } from '../client/outbox.ts'
import type { Entry, Timeline } from '../client/timeline.ts'
import type { Message } from '../client/wire.ts'

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
      /** First and last of a group of one author. */
      readonly first: boolean
      readonly last: boolean
      /** Ids of the people whose reading has come to this message and no further. */
      readonly readers: string
      /** Someone has read it. */
      readonly read: boolean
      readonly pending: OutboxEntry | null
    }

type MessageRow = Extract<Row, { kind: 'message' }>

/** One author's messages within this time are a group. */
const GROUP_MS = 5 * 60_000

/** Makes the rows. `newAfter` is the `seq` up to which one had read on opening, or null for no line. */
export function rowsOf(
  timeline: Timeline,
  pending: readonly OutboxEntry[],
  marks: ReadonlyMap<number, number>,
  me: number,
  newAfter: number | null,
): Row[] {
  const rows: Row[] = []
  let day = ''
  let lined = newAfter === null
  const direct = timeline.room.room_type === 'direct'
  /** The `seq` up to which a room is being made: its first people come with it. */
  let opened = 1
  let latest = new Date(0)
  const open = (at: Date) => {
    latest = at
    const key = at.toDateString()
    if (key === day) return
    day = key
    rows.push({ kind: 'day', key: `day ${key}`, at })
  }
  for (const entry of timeline.entries) {
    if (entry.kind !== 'message') {
      if (entry.kind === 'joined' && entry.seq === opened + 1) opened++
      else if (!direct) addSystem(rows, entry)
      continue
    }
    const { message } = entry
    open(new Date(message.created_at))
    if (!lined && entry.seq > newAfter! && message.sender.id !== me) {
      lined = true
      rows.push({ kind: 'new', key: 'new' })
    }
    addMessage(rows, message, message.sender.id === me, null)
  }
  const { to, head } = timeline
  if (to === head) {
    // What has failed stays last, where it can't be overlooked, whatever is sent after it.
    const failed = (entry: OutboxEntry) => Number(entry.state === 'failed')
    for (const entry of pending.toSorted((a, b) => failed(a) - failed(b))) {
      const at = new Date(entry.at_ms)
      if (at > latest) open(at)
      addMessage(rows, messageOf(entry, me), true, entry)
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
  const at = rows.length - 1
  const before = rows[at]
  const first = before?.kind !== 'message' || !together(before.message, message)
  if (!first) rows[at] = { ...(before as MessageRow), last: false }
  rows.push({
    kind: 'message',
    key: message.client_id ?? message.id,
    message,
    mine,
    first,
    last: true,
    readers: '',
    read: false,
    pending,
  })
}

function together(a: Message, b: Message): boolean {
  const apart_ms = Math.abs(Date.parse(b.created_at) - Date.parse(a.created_at))
  return a.sender.id === b.sender.id && apart_ms < GROUP_MS && a.is_deleted === b.is_deleted
}

/** Puts each reader at the last own message that they have read. */
function withReaders(rows: Row[], marks: ReadonlyMap<number, number>, me: number): Row[] {
  const others = [...marks].filter(([user]) => user !== me)
  const farthest = Math.max(0, ...others.map(([, seq]) => seq))
  const at = new Map<number, number[]>()
  for (const [user, seq] of others) {
    const place = rows.findLastIndex(
      row => row.kind === 'message' && row.mine && !row.pending && row.message.seq <= seq,
    )
    if (place >= 0) at.set(place, [...(at.get(place) ?? []), user])
  }
  return rows.map((row, place) =>
    row.kind === 'message' && row.mine && !row.pending
      ? { ...row, readers: (at.get(place) ?? []).join(' '), read: row.message.seq <= farthest }
      : row,
  )
}

/** How an entry of the outbox looks until the server's message takes its place. */
function messageOf(entry: OutboxEntry, me: number): Message {
  const at = new Date(entry.at_ms).toISOString()
  const image = entry.file?.type.startsWith('image/')
  return {
    id: entry.client_id,
    room_id: entry.room_id,
    sender: { id: me, username: '', full_name: '' },
    content: entry.content,
    message_type: entry.file ? (image ? 'image' : 'file') : 'text',
    attachment: null,
    attachment_name: entry.file?.name ?? '',
    attachment_size: entry.file?.size ?? null,
    reply_to_id: entry.reply_to?.id ?? null,
    reply_to: entry.reply_to,
    created_at: at,
    is_edited: false,
    edited_at: null,
    is_deleted: false,
    seq: Number.MAX_SAFE_INTEGER,
    rev: 0,
    client_id: entry.client_id,
  }
}
