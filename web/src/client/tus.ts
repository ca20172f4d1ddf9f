/**
 * Sending a message with several files: each is uploaded in chunks by tus 1.0.0, and then the message names them.
 *
 * An upload that broke off goes on where the server says it is, as long as the page is open; after that it begins anew.
 */
import { ChatError, errorOf } from './errors.ts'
import type { OutgoingMessage } from './outbox.ts'
import type { Tokens } from './tokens.ts'
import type { RestMessage } from './wire.ts'

/** What is lost at most when a connection breaks, and the step in which progress is shown. */
const CHUNK_BYTES = 1024 * 1024
/** How often the server may contradict an offset before the upload is given up. */
const CONFLICTS_MAX = 3

/** The addresses of uploads that were begun, by message and number of the file. */
const begun = new Map<string, string>()

/** Makes requests with the user's token; a refused one is renewed once. */
class Caller {
  constructor(
    readonly tokens: Tokens,
    readonly signal?: AbortSignal,
  ) {}

  /** @throws ChatError without an answer */
  async call(
    method: string,
    url: string,
    headers: Record<string, string>,
    body?: BodyInit,
  ): Promise<Response> {
    for (let renewed = false; ; renewed = true) {
      const token = await this.tokens.get()
      let response: Response
      try {
        response = await fetch(url, {
          method,
          headers: { Authorization: `Bearer ${token}`, ...headers },
          body: body ?? null,
          signal: this.signal ?? null,
        })
      } catch {
        throw new ChatError(this.signal?.aborted ? 'cancelled' : 'offline', 'no answer from the server')
      }
      if (response.status !== 401 || renewed) return response
      this.tokens.refuse(token)
    }
  }

  tus(method: string, url: string, headers: Record<string, string> = {}, body?: BodyInit): Promise<Response> {
    return this.call(method, url, { 'Tus-Resumable': '1.0.0', ...headers }, body)
  }
}

/** Uploads the files of a message and posts it to `url`. @throws ChatError */
export async function sendSeveral(
  url: string,
  tokens: Tokens,
  message: OutgoingMessage,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<RestMessage> {
  const files = [message.file!, ...(message.more ?? [])]
  const caller = new Caller(tokens, signal)
  const total = files.reduce((sum, file) => sum + file.size, 0)
  const keys = files.map((_, at) => `${message.client_id} ${at}`)
  try {
    const attachments: string[] = []
    let before = 0
    for (const [at, file] of files.entries()) {
      const address = await upload(caller, new URL('../uploads/', url).href, keys[at]!, file, bytes =>
        onProgress((before + bytes) / total),
      )
      before += file.size
      attachments.push(address.split('/').at(-2)!)
    }
    return await post(caller, url, message, attachments)
  } catch (cause) {
    // What was discarded, or refused for good, isn't kept by the server for a day.
    if (!(cause instanceof ChatError && cause.retryable)) for (const key of keys) void remove(tokens, key)
    throw cause
  }
}

/** Uploads a file, from where it broke off, and returns its address. */
async function upload(
  caller: Caller,
  url: string,
  key: string,
  file: File,
  onBytes: (bytes: number) => void,
): Promise<string> {
  let address = begun.get(key)
  let offset = address ? await offsetOf(caller, address) : null
  if (!address || offset === null) {
    address = await begin(caller, url, file)
    begun.set(key, address)
    offset = 0
  }
  onBytes(offset)
  let conflicts = 0
  while (offset < file.size) {
    const headers = { 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream' }
    const response = await caller.tus('PATCH', address, headers, file.slice(offset, offset + CHUNK_BYTES))
    if (response.status === 409 && conflicts++ < CONFLICTS_MAX)
      offset = (await offsetOf(caller, address)) ?? 0
    else if (response.ok) offset = Number(response.headers.get('Upload-Offset'))
    else throw await failureOf(response)
    onBytes(offset)
  }
  return address
}

async function begin(caller: Caller, url: string, file: File): Promise<string> {
  const name = btoa(String.fromCodePoint(...new TextEncoder().encode(file.name)))
  const headers = { 'Upload-Length': String(file.size), 'Upload-Metadata': `filename ${name}` }
  const response = await caller.tus('POST', url, headers)
  if (!response.ok) throw await failureOf(response)
  // Another name of the same server would be another origin.
  return new URL(new URL(response.headers.get('Location')!, url).pathname, url).href
}

/** Returns how many bytes the server has, or null if it has no such upload. */
async function offsetOf(caller: Caller, address: string): Promise<number | null> {
  const response = await caller.tus('HEAD', address)
  if (response.ok) return Number(response.headers.get('Upload-Offset'))
  if (response.status === 404 || response.status === 410) return null
  throw await failureOf(response)
}

async function post(
  caller: Caller,
  url: string,
  message: OutgoingMessage,
  attachments: string[],
): Promise<RestMessage> {
  const { room_id, client_id, content, reply_to, extras, mentions } = message
  const body = {
    room: room_id,
    client_id,
    attachments,
    ...(content && { content }),
    ...(reply_to && { reply_to: reply_to.id }),
    ...extras,
    ...mentions,
  }
  const response = await caller.call(
    'POST',
    url,
    { 'Content-Type': 'application/json' },
    JSON.stringify(body),
  )
  if (!response.ok) throw await failureOf(response)
  for (const at of attachments.keys()) begun.delete(`${client_id} ${at}`)
  return (await response.json()) as RestMessage
}

async function remove(tokens: Tokens, key: string): Promise<void> {
  const address = begun.get(key)
  begun.delete(key)
  if (address) await new Caller(tokens).tus('DELETE', address).catch(() => {})
}

async function failureOf(response: Response): Promise<ChatError> {
  const body: unknown = await response.json().catch(() => null)
  return errorOf(response.status, body, response.headers.get('Retry-After'))
}
