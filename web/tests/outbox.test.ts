import { describe, expect, it, vi } from 'vitest'
import { ChatError } from '../src/client/errors.ts'
import { memoryStore } from '../src/client/node-ports.ts'
import { Outbox, type OutgoingMessage } from '../src/client/outbox.ts'

const outgoing = (content: string, file = false): OutgoingMessage => ({
  client_id: content,
  room_id: 'room',
  content,
  reply_to: null,
  file: file ? new File(['x'], 'lift.png') : null,
  at_ms: Date.now(),
})

/** Creates an outbox whose requests complete when the test resolves them. */
function setup() {
  const sending = new Map<string, { resolve: (seq: number) => void; reject: (cause: unknown) => void }>()
  const changed = new EventTarget()
  const outbox = new Outbox(
    Promise.resolve(memoryStore()),
    ({ client_id }) => {
      let resolve = (_seq: number) => {}
      let reject = (_cause: unknown) => {}
      const promise = new Promise<number>((yes, no) => {
        resolve = yes
        reject = no
      })
      sending.set(client_id, { resolve, reject })
      return promise.finally(() => sending.delete(client_id))
    },
    () => changed.dispatchEvent(new Event('change')),
    () => 0,
  )
  const states = () => Object.fromEntries(outbox.entriesOf('room').map(entry => [entry.content, entry.state]))
  const until = async (claim: () => boolean) => {
    while (!claim()) await new Promise(done => changed.addEventListener('change', done, { once: true }))
  }
  return { outbox, sending, states, until }
}

describe('an outbox', () => {
  it('sends a text while the image before it is still being uploaded', async () => {
    const { outbox, sending, states, until } = setup()
    outbox.add(outgoing('picture', true))
    outbox.add(outgoing('text'))
    expect([...sending.keys()]).toEqual(['picture', 'text'])
    sending.get('text')!.resolve(5)
    await until(() => states()['text'] === 'stored')
    expect(states()).toEqual({ picture: 'sending', text: 'stored' })
  })

  it('preserves the order of texts and that of files', async () => {
    const { outbox, sending, states, until } = setup()
    for (const [content, file] of [
      ['text 1', false],
      ['file 1', true],
      ['text 2', false],
      ['file 2', true],
    ] as const)
      outbox.add(outgoing(content, file))
    expect([...sending.keys()]).toEqual(['text 1', 'file 1'])
    sending.get('text 1')!.resolve(5)
    await until(() => states()['text 2'] === 'sending')
    expect([...sending.keys()]).toEqual(['file 1', 'text 2'])
    sending.get('file 1')!.resolve(6)
    await until(() => states()['file 2'] === 'sending')
  })

  it('counts failed messages until they are retried or discarded', async () => {
    const { outbox, sending, states, until } = setup()
    outbox.add(outgoing('refused'))
    sending.get('refused')!.reject(new ChatError('invalid', 'no'))
    await until(() => states()['refused'] === 'failed')
    expect(outbox.failed).toBe(1)
    outbox.discard('refused')
    expect(outbox.failed).toBe(0)
  })

  it('keeps a refused message in the next tab until it is retried there', async () => {
    const store = memoryStore()
    const refuse = () => Promise.reject(new ChatError('archived', 'no'))
    const first = new Outbox(Promise.resolve(store), refuse, () => {})
    first.add(outgoing('refused'))
    await vi.waitFor(async () => expect(await store.all()).toMatchObject([{ failed: 'archived' }]))
    const sent: string[] = []
    const second = new Outbox(
      Promise.resolve(store),
      ({ client_id }) => {
        sent.push(client_id)
        return new Promise<number>(() => {})
      },
      () => {},
    )
    await second.load()
    expect(second.entriesOf('room')).toMatchObject([{ state: 'failed', code: 'archived' }])
    expect([second.failed, sent]).toEqual([1, []])
    second.retry('refused')
    expect(sent).toEqual(['refused'])
    const waiting = expect.not.objectContaining({ failed: 'archived' })
    await vi.waitFor(async () => expect(await store.all()).toEqual([waiting]))
  })

  it('keeps the order of texts that were sent at once, also in the next tab', async () => {
    const store = memoryStore()
    const never = () => new Promise<number>(() => {})
    const first = new Outbox(Promise.resolve(store), never, () => {})
    const at_ms = Date.now()
    for (const content of ['c', 'a', 'b']) first.add({ ...outgoing(content), at_ms })
    await Promise.resolve()
    const stored = await store.all()
    // A database returns them in the order of their random ids.
    const shuffled = {
      ...store,
      all: async () => stored.toSorted((x, y) => x.client_id.localeCompare(y.client_id)),
    }
    const second = new Outbox(Promise.resolve(shuffled), never, () => {})
    await second.load()
    expect(second.entriesOf('room').map(entry => entry.content)).toEqual(['c', 'a', 'b'])
  })
})
