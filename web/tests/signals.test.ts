import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ReadReceipts } from '../src/client/read-receipts.ts'
import { TypingSignals } from '../src/client/typing.ts'
import type { Message } from '../src/client/wire.ts'

beforeEach(() => void vi.useFakeTimers())

afterEach(() => void vi.useRealTimers())

describe('typing signals', () => {
  it('of the user are repeated at most every 2.5 s, and end once', () => {
    const typing = new TypingSignals(() => {})
    expect([typing.isDue(true), typing.isDue(true)]).toEqual([true, false])
    vi.advanceTimersByTime(2_500)
    expect([typing.isDue(true), typing.isDue(false), typing.isDue(false)]).toEqual([true, true, false])
  })

  it('are due again after a message has been sent', () => {
    const typing = new TypingSignals(() => {})
    typing.isDue(true)
    typing.onSend()
    expect([typing.isDue(false), typing.isDue(true)]).toEqual([false, true])
  })

  it('of another user expire unless they are repeated', () => {
    const onChange = vi.fn()
    const typing = new TypingSignals(onChange)
    typing.start(2, 'Bob Reed')
    vi.advanceTimersByTime(6_000)
    typing.start(2, 'Bob Reed')
    vi.advanceTimersByTime(6_000)
    expect([...typing.names]).toEqual([[2, 'Bob Reed']])
    vi.advanceTimersByTime(1_000)
    expect(typing.names.size).toBe(0)
    typing.stop(2)
    expect(onChange).toHaveBeenCalledTimes(3)
  })
})

describe('read receipts', () => {
  const message = (seq: number) => ({ id: `m${seq}`, seq }) as Message

  function setup() {
    const state = { sent: [] as number[], connected: true, readUpTo: 0 }
    const receipts = new ReadReceipts(
      ({ seq }) => {
        if (state.connected) state.sent.push(seq)
        return state.connected
      },
      () => state.readUpTo,
    )
    return { receipts, state }
  }

  it('are sent immediately, then after a pause for the newest message', () => {
    const { receipts, state } = setup()
    for (const seq of [1, 3, 2]) receipts.markRead(message(seq))
    expect(state.sent).toEqual([1])
    vi.advanceTimersByTime(250)
    expect(state.sent).toEqual([1, 3])
  })

  it('are not sent for what the server has recorded, unless it rejected the last one', () => {
    const { receipts, state } = setup()
    state.readUpTo = 2
    receipts.markRead(message(2))
    expect(state.sent).toEqual([])
    receipts.markRead(message(3))
    receipts.flush()
    receipts.markRead(message(3))
    expect(state.sent).toEqual([3])
    receipts.onRejected()
    receipts.markRead(message(3))
    expect(state.sent).toEqual([3, 3])
  })

  it('are sent again if there was no connection', () => {
    const { receipts, state } = setup()
    state.connected = false
    receipts.markRead(message(1))
    state.connected = true
    receipts.markRead(message(1))
    expect(state.sent).toEqual([1])
  })
})
