/** What users may do in a room. */
import type { Client } from '../../client/client.ts'
import type { Room, RoomView } from '../../client/room.ts'
import { accessOf, type Capability } from '../../client/room-access.ts'

/** Users up to whom everyone in a room may mention everyone; in larger rooms only admins may. */
const MENTION_ROOM_MAX = 20

/** Whether the user manages the room: as an admin, but not in a direct room. */
export function isRoomAdmin({ timeline }: RoomView, me: number | null): boolean {
  const self = me === null ? null : timeline?.people.get(me)
  return Boolean(self?.is_admin) && timeline?.room.room_type !== 'direct'
}

/** What older servers allow to admins only. They do not say what a user may, and have no pins. */
const OF_ADMINS: ReadonlySet<Capability> = new Set(['moderate', 'manage_participants', 'manage'])

/** Whether the user may do something in a room: as the server says, or else by the role. */
export function may(room: Room, client: Client, what: Capability): boolean {
  return accessOf(room)?.allows(what) ?? (OF_ADMINS.has(what) && isRoomAdmin(room.view, client.me))
}

/** Whether the user may mention everyone in a room at once. */
export function mayMentionRoom(view: RoomView, me: number | null): boolean {
  const { timeline } = view
  if (!timeline || timeline.room.room_type === 'direct') return false
  return timeline.people.size <= MENTION_ROOM_MAX || isRoomAdmin(view, me)
}
