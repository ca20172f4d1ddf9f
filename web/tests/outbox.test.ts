import { describe, expect, it } from 'vitest'
import { memoryStore } from '../src/client/node.ts'
import { type Draft, Outbox } from '../src/client/outbox.ts'
import { ChatError } from '../src/client/rest.ts'

const draft = (content: string, file = false): Draft => ({
  client_id: content,
  room_id: 'room',
  content,
  reply_to: null,
  file: file ? new File(['x'], 'lift.png') : null,
  at_ms: Date.now(),
})

/** An outbox whose sendings end when the test says so. */
function stage() {
  const under_way = new Map<string, { resolve: (seq: number) => void; reject: (cause: unknown) => void }>()
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
      under_way.set(client_id, { resolve, reject })
      return promise.finally(() => under_way.delete(client_id))
    },
    () => changed.dispatchEvent(new Event('change')),
    () => 0,
  )
  const states = () => Object.fromEntries(outbox.of('room').map(entry => [entry.content, entry.state]))
  const until = async (claim: () => boolean) => {
    while (!claim()) await new Promise(done => changed.addEventListener('change', done, { once: true }))
  }
  return { outbox, under_way, states, until }
}

describe('an outbox', () => {
  it('sends a text while the picture before it is still going up', async () => {
    const { outbox, under_way, states, until } = stage()
    outbox.add(draft('picture', true))
    outbox.add(draft('text'))
    expect([...under_way.keys()]).toEqual(['picture', 'text'])
    under_way.get('text')!.resolve(5)
    await until(() => states()['text'] === 'stored')
    expect(states()).toEqual({ picture: 'sending', text: 'stored' })
  })

  it('keeps the order of texts, and that of files', async () => {
    const { outbox, under_way, states, until } = stage()
    for (const [content, file] of [
      ['text 1', false],
      ['file 1', true],
      ['text 2', false],
      ['file 2', true],
    ] as const)
      outbox.add(draft(content, file))
    expect([...under_way.keys()]).toEqual(['text 1', 'file 1'])
    under_way.get('text 1')!.resolve(5)
    await until(() => states()['text 2'] === 'sending')
    expect([...under_way.keys()]).toEqual(['file 1', 'text 2'])
    under_way.get('file 1')!.resolve(6)
    await until(() => states()['file 2'] === 'sending')
  })

  it('counts what has failed until it is decided', async () => {
    const { outbox, under_way, states, until } = stage()
    outbox.add(draft('refused'))
    under_way.get('refused')!.reject(new ChatError('invalid', 'no'))
    await until(() => states()['refused'] === 'failed')
    expect(outbox.failed).toBe(1)
    outbox.discard('refused')
    expect(outbox.failed).toBe(0)
  })
})
