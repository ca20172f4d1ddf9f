/** Sending a message with its file as one multipart request. A refused token is renewed once. Several files go their own way. */
import { ChatError, errorOf } from './errors.ts'
import type { OutgoingMessage } from './outbox.ts'
import type { Tokens } from './tokens.ts'
import type { RestMessage } from './wire.ts'

/** Posts a message to `url` and reports progress as a share from 0 to 1. @throws ChatError */
export type Upload = (url: string, tokens: Tokens, ...args: UploadArgs) => Promise<RestMessage>

type UploadArgs = [message: OutgoingMessage, onProgress: (share: number) => void, signal: AbortSignal]
type Post = (url: string, token: string, ...args: UploadArgs) => Promise<RestMessage>

function withRenewal(post: Post): Upload {
  return async (url, tokens, ...args) => {
    if (args[0].more?.length) return (await import('./tus.ts')).sendSeveral(url, tokens, ...args)
    const token = await tokens.get()
    try {
      return await post(url, token, ...args)
    } catch (cause) {
      if (!(cause instanceof ChatError) || cause.status !== 401) throw cause
      tokens.refuse(token)
      return post(url, await tokens.get(), ...args)
    }
  }
}

function formOf(message: OutgoingMessage): FormData {
  const { room_id, client_id, content, reply_to, file, extras, mentions } = message
  const form = new FormData()
  form.set('room', room_id)
  form.set('client_id', client_id)
  if (content) form.set('content', content)
  if (reply_to) form.set('reply_to', reply_to.id)
  for (const id of mentions?.mentions ?? []) form.append('mentions', String(id))
  if (mentions?.mention_room) form.set('mention_room', 'true')
  if (file) form.set('attachment', file, file.name)
  const { thread_root, in_timeline = true, urgent } = extras ?? {}
  if (thread_root) form.set('thread_root', thread_root)
  if (!in_timeline) form.set('in_timeline', 'false')
  if (urgent) form.set('urgent', JSON.stringify(urgent))
  return form
}

/** Uses XMLHttpRequest, the only API that reports a browser's upload progress. */
export const xhrUpload = withRenewal(
  (url, token, message, onProgress, signal) =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest()
      request.open('POST', url)
      request.setRequestHeader('Authorization', `Bearer ${token}`)
      request.responseType = 'json'
      request.upload.onprogress = event => {
        if (event.lengthComputable) onProgress(event.loaded / event.total)
      }
      request.onload = () => {
        if (request.status < 300) resolve(request.response as RestMessage)
        else reject(errorOf(request.status, request.response, request.getResponseHeader('Retry-After')))
      }
      request.onerror = () => reject(new ChatError('offline', 'no answer from the server'))
      request.onabort = () => reject(new ChatError('cancelled', 'cancelled'))
      signal.addEventListener('abort', () => request.abort(), { once: true })
      request.send(formOf(message))
    }),
)

/** Uses fetch, for environments without XMLHttpRequest; progress is reported only at the end. */
export const fetchUpload = withRenewal(async (url, token, message, onProgress, signal) => {
  let response: Response
  try {
    response = await fetch(url, {
      method: 'POST',
      body: formOf(message),
      headers: { Authorization: `Bearer ${token}` },
      signal,
    })
  } catch {
    throw new ChatError(signal.aborted ? 'cancelled' : 'offline', 'no answer from the server')
  }
  const body: unknown = await response.json().catch(() => null)
  if (!response.ok) throw errorOf(response.status, body, response.headers.get('Retry-After'))
  onProgress(1)
  return body as RestMessage
})
