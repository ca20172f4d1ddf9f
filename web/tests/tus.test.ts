import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { OutgoingMessage } from '../src/client/outbox.ts'
import { Tokens } from '../src/client/tokens.ts'
import { sendSeveral } from '../src/client/tus.ts'

const SERVER = 'http://chat.example/api/chat'
const MIB = 1024 * 1024

interface Upload {
  length: number
  name: string
  bytes: number
}

/** A server that speaks as much tus as a client needs. */
class FakeServer {
  uploads = new Map<string, Upload>()
  posted: Record<string, unknown>[] = []
  calls: string[] = []
  /** Answers the next calls in place of the server; an Error breaks the connection. */
  next: (Response | Error)[] = []

  fetch = async (url: string, { method, headers, body, signal }: RequestInit): Promise<Response> => {
    signal?.throwIfAborted()
    const path = url.slice(SERVER.length)
    const given = new Headers(headers)
    this.calls.push(`${method} ${path.startsWith('/uploads/') ? '/uploads/' : path}`)
    const interference = this.next.shift()
    if (interference instanceof Error) throw interference
    if (interference) return interference
    if (path === '/messages/') {
      this.posted.push(JSON.parse(body as string))
      return Response.json({ id: 'm', seq: 7 }, { status: 201 })
    }
    expect(given.get('Tus-Resumable')).toBe('1.0.0')
    if (method === 'POST') {
      const id = `u${this.uploads.size + 1}`
      const name = Buffer.from(given.get('Upload-Metadata')!.split(' ')[1]!, 'base64').toString()
      this.uploads.set(id, { length: Number(given.get('Upload-Length')), name, bytes: 0 })
      const headers = { Location: `https://other.example/api/chat/uploads/${id}/` }
      return new Response(null, { status: 201, headers })
    }
    const id = path.split('/')[2]!
    const upload = this.uploads.get(id)
    if (!upload) return new Response(null, { status: 404 })
    if (method === 'DELETE') this.uploads.delete(id)
    if (method === 'PATCH') {
      if (Number(given.get('Upload-Offset')) !== upload.bytes) return new Response(null, { status: 409 })
      upload.bytes += (body as Blob).size
    }
    return new Response(null, { status: 200, headers: { 'Upload-Offset': String(upload.bytes) } })
  }
}

const file = (name: string, bytes: number): File => new File([new Uint8Array(bytes)], name)
let count = 0
const message = (...files: File[]): OutgoingMessage => ({
  client_id: `c${++count}`,
  room_id: 'r',
  content: 'Both',
  reply_to: null,
  file: files[0]!,
  more: files.slice(1),
  at_ms: 0,
})

describe('a message with several files', () => {
  let server: FakeServer
  let shares: number[]
  const send = (outgoing: OutgoingMessage, signal = new AbortController().signal) =>
    sendSeveral(`${SERVER}/messages/`, new Tokens('x.e30.x'), outgoing, share => shares.push(share), signal)

  beforeEach(() => {
    server = new FakeServer()
    shares = []
    vi.stubGlobal('fetch', server.fetch)
  })
  afterEach(() => vi.unstubAllGlobals())

  it('uploads them in chunks and names them in their order', async () => {
    const sent = await send(message(file('Küche.pdf', 2 * MIB + 5), file('b.pdf', 3)))
    expect(sent.seq).toBe(7)
    expect([...server.uploads.values()]).toEqual([
      { length: 2 * MIB + 5, name: 'Küche.pdf', bytes: 2 * MIB + 5 },
      { length: 3, name: 'b.pdf', bytes: 3 },
    ])
    expect(server.posted).toEqual([
      { room: 'r', client_id: `c${count}`, attachments: ['u1', 'u2'], content: 'Both' },
    ])
    expect(shares).toEqual(shares.toSorted((a, b) => a - b))
    expect(shares.at(-1)).toBe(1)
  })

  it('goes on where it broke off', async () => {
    const outgoing = message(file('a.pdf', 2 * MIB), file('b.pdf', 3))
    server.next = [undefined!, undefined!, new Error('broken')]
    await expect(send(outgoing)).rejects.toMatchObject({ code: 'offline' })
    expect(server.uploads.get('u1')!.bytes).toBe(MIB)
    server.calls = []
    await send(outgoing)
    expect(server.calls.slice(0, 2)).toEqual(['HEAD /uploads/', 'PATCH /uploads/'])
    expect(server.uploads.size).toBe(2)
  })

  it('begins anew what the server has forgotten', async () => {
    const outgoing = message(file('a.pdf', 2 * MIB), file('b.pdf', 3))
    server.next = [undefined!, undefined!, new Error('broken')]
    await expect(send(outgoing)).rejects.toMatchObject({ code: 'offline' })
    server.uploads.delete('u1')
    await send(outgoing)
    expect(server.posted).toHaveLength(1)
  })

  it('asks again when the server has another offset', async () => {
    const outgoing = message(file('a.pdf', 2 * MIB), file('b.pdf', 3))
    server.next = [undefined!, undefined!, new Response(null, { status: 409 })]
    await send(outgoing)
    expect(server.calls.filter(call => call.startsWith('HEAD'))).toHaveLength(1)
    expect(server.posted).toHaveLength(1)
  })

  it('takes back what is cancelled or refused', async () => {
    const abort = new AbortController()
    server.next = [undefined!, undefined!, new Error('cut by the abort')]
    const sending = send(message(file('a.pdf', 2 * MIB), file('b.pdf', 3)), abort.signal)
    abort.abort()
    await expect(sending).rejects.toMatchObject({ code: 'cancelled' })
    server.next = []
    const refused = Response.json({ attachments: ['no such file'] }, { status: 400 })
    server.next = [undefined!, refused]
    const again = send(message(file('a.exe', 3), file('b.pdf', 3)))
    await expect(again).rejects.toMatchObject({ code: 'invalid', message: 'no such file' })
    await vi.waitFor(() => expect(server.uploads.size).toBe(0))
    expect(server.posted).toEqual([])
  })
})
