/** Coming into a room by an invitation. */
import type { Client } from './client.ts'
import { ChatError } from './errors.ts'

/**
 * Comes into the room of an invitation by its token. Returns the room's id, or an empty string if the invitation can
 * no longer be used.
 *
 * @throws ChatError if the same call may succeed later, AuthNeeded if the user has to sign in first
 */
export async function acceptInvitation(client: Client, token: string): Promise<string> {
  try {
    const { data } = await client.api.POST('/api/chat/invitations/accept/', { body: { token } })
    await client.loadRooms()
    return data.id
  } catch (cause) {
    if (isFinal(cause)) return ''
    throw cause
  }
}

function isFinal(cause: unknown): boolean {
  if (!(cause instanceof ChatError) || cause.retryable) return false
  return cause.status >= 400 && cause.status < 500 && cause.status !== 401
}
