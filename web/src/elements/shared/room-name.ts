/** The name and the avatar of a room. */
import type { Client } from '../../client/client.ts'
import type { Room } from '../../client/room.ts'
import type { ListedRoom, RoomType, User } from '../../client/wire.ts'
import { t } from './texts.ts'
import { nameOf } from './user-name.ts'

/** Returns the server's name for a room, or the equivalent while that is unknown. */
export function roomName(room: Room, client: Client): string {
  const listed = client.inbox.rooms.find(one => one.id === room.id)
  const { timeline } = room.view
  const known = timeline?.room.name || timeline?.room.title
  if (known) return known
  if (listed) return listed.display_name
  if (timeline?.room.room_type === 'direct') {
    const other = [...timeline.people.values()].find(one => one.user.id !== client.me)
    if (other) return nameOf(other.user)
  }
  return t('chat')
}

/** Returns the other user of a direct room as far as its row in the list shows it. */
export function partnerOf(room: ListedRoom, me: number | null): User | null {
  if (room.room_type !== 'direct') return null
  const { partner, last_message_sender: sender } = room
  return partner ?? (sender && sender.id !== me ? sender : null)
}

/** Returns the key of a room's avatar: a direct room has the avatar of its other user. */
export function avatarKey(room: Room, client: Client): string {
  const { timeline } = room.view
  const listed = client.inbox.rooms.find(one => one.id === room.id)
  const users = timeline?.room.room_type === 'direct' ? [...timeline.people.keys()] : []
  const other = users.find(id => id !== client.me) ?? (listed && partnerOf(listed, client.me)?.id)
  return String(other ?? room.id)
}

/** Returns the kind of subject that a room is about, if it is about one. */
export function subjectKind(type: RoomType | undefined): 'task' | 'property' | null {
  return type === 'task' || type === 'property' ? type : null
}
