import type { Client } from '../../client/client.ts'
import type { Message } from '../../client/wire.ts'

/** Saves the file of a message on the device. @throws ChatError */
export async function download(client: Client, message: Message): Promise<void> {
  const link = document.createElement('a')
  link.href = await client.fileUrl(message)
  link.download = message.attachment_name ?? ''
  link.target = '_blank'
  link.rel = 'noopener'
  link.click()
}
