/** What a room is called, and by which sign it is known. */
import type { Client } from '../client/client.ts'
import type { Room } from '../client/room.ts'
import type { ListRoom, RoomType, User } from '../client/wire.ts'
import { t } from './texts.ts'

/** The name as the server gives it, or made the same way while it isn't known. */
export function roomName(room: Room, client: Client): string {
  const listed = client.inbox.rooms.find(one => one.id === room.id)
  const { timeline } = room.view
  const known = timeline?.room.name || timeline?.room.title
  if (known) return known
  if (listed) return listed.display_name
  if (timeline?.room.room_type === 'direct') {
    const other = [...timeline.people.values()].find(one => one.user.id !== client.me)
    if (other) return other.user.full_name || other.user.username
  }
  return t('chat')
}

/** The other one of a direct room, as far as its row tells. */
export function partnerOf(room: ListRoom, me: number | null): User | null {
  if (room.room_type !== 'direct') return null
  const { partner, last_message_sender: sender } = room
  return partner ?? (sender && sender.id !== me ? sender : null)
}

/** What a room's colour is made from: a direct room has that of its other person, who has one everywhere. */
export function colourKey(room: Room, client: Client): string {
  const { timeline } = room.view
  const listed = client.inbox.rooms.find(one => one.id === room.id)
  const known = timeline?.room.room_type === 'direct' ? [...timeline.people.keys()] : []
  const other = known.find(id => id !== client.me) ?? (listed && partnerOf(listed, client.me)?.id)
  return String(other ?? room.id)
}

export function subjectSign(type: RoomType | undefined): 'task' | 'property' | null {
  return type === 'task' || type === 'property' ? type : null
}
