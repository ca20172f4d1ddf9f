import type { Client } from './client.ts'

/** Comes into the room of an invitation by its token. Returns the room's id. @throws ChatError */
export async function acceptInvitation(client: Client, token: string): Promise<string> {
  const { data } = await client.api.POST('/api/chat/invitations/accept/', { body: { token } })
  await client.loadRooms()
  return data.id
}
