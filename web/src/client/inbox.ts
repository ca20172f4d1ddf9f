/** The list of a person's rooms, as a value. */
import type { InboxFrame, ListRoom, RoomRemoved } from './wire.ts'

export interface Inbox {
  readonly rooms: readonly ListRoom[]
  /** Over all rooms that are neither muted nor archived, in the server's count. */
  readonly total_unread: number
  readonly loaded: boolean
}

export const EMPTY_INBOX: Inbox = { rooms: [], total_unread: 0, loaded: false }

/** Puts what a page of rooms says in the place of what was known; latest activity first. */
export function withRooms(inbox: Inbox, rooms: readonly ListRoom[]): Inbox {
  return { ...inbox, rooms: sorted(rooms), loaded: true }
}

/** Applies an `inbox` frame; false when the room isn't in the list, which then has to be read again. */
export function withFrame(inbox: Inbox, frame: InboxFrame): { inbox: Inbox; known: boolean } {
  const known = inbox.rooms.some(room => room.id === frame.room_id)
  const { type, room_id, total_unread, ...told } = frame
  const rooms = inbox.rooms.map(room => (room.id === room_id ? { ...room, ...told } : room))
  return { inbox: { ...inbox, rooms: sorted(rooms), total_unread }, known }
}

export function withoutRoom(inbox: Inbox, { room_id, total_unread }: RoomRemoved): Inbox {
  return { ...inbox, rooms: inbox.rooms.filter(room => room.id !== room_id), total_unread }
}

function sorted(rooms: readonly ListRoom[]): ListRoom[] {
  return rooms.toSorted((a, b) => Date.parse(b.last_message_time) - Date.parse(a.last_message_time))
}
