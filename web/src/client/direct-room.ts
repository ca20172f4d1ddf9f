import type { Client } from './client.ts'
import type { User } from './wire.ts'

/** Returns the id of the direct room with a user, which is created if it does not exist. @throws ChatError */
export async function openDirectRoom(client: Client, user: User): Promise<string> {
  const body = { room_type: 'direct' as const, participant_ids: [user.id] }
  const { data } = await client.api.POST('/api/chat/rooms/', { body })
  await client.loadRooms()
  return data.id
}
