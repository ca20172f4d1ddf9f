/** Sending a file with its message as one multipart request; a refused token is renewed once. */
import type { Draft } from './outbox.ts'
import { ChatError, errorOf } from './rest.ts'
import type { Tokens } from './token.ts'
import type { RestMessage } from './wire.ts'

/** Posts `draft` to the messages at `url`, tells the share that has gone up, gives the message. @throws ChatError */
export type Upload = (url: string, tokens: Tokens, ...what: What) => Promise<RestMessage>

type What = [draft: Draft, onProgress: (share: number) => void, signal: AbortSignal]
type Post = (url: string, token: string, ...what: What) => Promise<RestMessage>

function renewing(post: Post): Upload {
  return async (url, tokens, ...what) => {
    const token = await tokens.get()
    try {
      return await post(url, token, ...what)
    } catch (cause) {
      if (!(cause instanceof ChatError) || cause.status !== 401) throw cause
      tokens.refuse(token)
      return post(url, await tokens.get(), ...what)
    }
  }
}

function formOf({ room_id, client_id, content, reply_to, file }: Draft): FormData {
  const form = new FormData()
  form.set('room', room_id)
  form.set('client_id', client_id)
  if (content) form.set('content', content)
  if (reply_to) form.set('reply_to', reply_to.id)
  if (file) form.set('attachment', file, file.name)
  return form
}

/** By XMLHttpRequest, the only way for a browser to know how much has gone up. */
export const xhrUpload = renewing(
  (url, token, draft, onProgress, signal) =>
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
      request.send(formOf(draft))
    }),
)

/** By fetch, where there is no XMLHttpRequest; progress is told at the end. */
export const fetchUpload = renewing(async (url, token, draft, onProgress, signal) => {
  let answer: Response
  try {
    answer = await fetch(url, {
      method: 'POST',
      body: formOf(draft),
      headers: { Authorization: `Bearer ${token}` },
      signal,
    })
  } catch {
    throw new ChatError(signal.aborted ? 'cancelled' : 'offline', 'no answer from the server')
  }
  const body: unknown = await answer.json().catch(() => null)
  if (!answer.ok) throw errorOf(answer.status, body, answer.headers.get('Retry-After'))
  onProgress(1)
  return body as RestMessage
})
