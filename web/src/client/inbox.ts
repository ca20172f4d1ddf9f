/** The user's room list, as an immutable value. */
import type { InboxFrame, ListedRoom, RoomRemovedFrame } from './wire.ts'

export interface Inbox {
  readonly rooms: readonly ListedRoom[]
  /** Unread messages in all rooms that are neither muted nor archived, as counted by the server. */
  readonly total_unread: number
  readonly loaded: boolean
}

/** Whether the server keeps what only the user sees, such as favourites and saved messages: older ones don't. */
export function isPersonal({ rooms }: Inbox): boolean {
  return rooms.some(room => room.favourite !== undefined)
}

export const EMPTY_INBOX: Inbox = { rooms: [], total_unread: 0, loaded: false }

/** Replaces the rooms by `rooms`, sorted by latest activity. */
export function withRooms(inbox: Inbox, rooms: readonly ListedRoom[]): Inbox {
  return { ...inbox, rooms: sorted(rooms), loaded: true }
}

/** Applies an `inbox` frame. If the room is not `known`, the list has to be read again. */
export function withFrame(inbox: Inbox, frame: InboxFrame): { inbox: Inbox; known: boolean } {
  const known = inbox.rooms.some(room => room.id === frame.room_id)
  const { type, room_id, total_unread, ...changes } = frame
  const rooms = inbox.rooms.map(room => (room.id === room_id ? { ...room, ...changes } : room))
  return { inbox: { ...inbox, rooms: sorted(rooms), total_unread }, known }
}

export function withoutRoom(inbox: Inbox, { room_id, total_unread }: RoomRemovedFrame): Inbox {
  return { ...inbox, rooms: inbox.rooms.filter(room => room.id !== room_id), total_unread }
}

function sorted(rooms: readonly ListedRoom[]): ListedRoom[] {
  return rooms.toSorted((a, b) => Date.parse(b.last_message_time) - Date.parse(a.last_message_time))
}
