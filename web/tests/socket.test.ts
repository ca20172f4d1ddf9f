import { afterEach, expect, it, vi } from 'vitest'
import { UserSocket } from '../src/client/socket.ts'
import type { Tokens } from '../src/client/tokens.ts'

afterEach(() => {
  vi.useRealTimers()
})

/** A socket that never gets further than being opened. */
class StubSocket {
  static opened: StubSocket[] = []
  readyState = 0

  constructor() {
    StubSocket.opened.push(this)
  }

  close(): void {
    this.readyState = 3
  }
}

it('opens one socket, however often the connection is lost while the token is renewed', async () => {
  vi.useFakeTimers()
  StubSocket.opened = []
  const asked: { resolve(token: string): void; reject(cause: Error): void }[] = []
  const tokens = { get: () => new Promise((resolve, reject) => asked.push({ resolve, reject })) }
  const socket = new UserSocket(
    {
      url: 'ws://chat.example/ws/chat/',
      tokens: tokens as unknown as Tokens,
      WebSocket: StubSocket as unknown as typeof WebSocket,
      random: () => 0,
      now: Date.now,
    },
    { onState: () => {}, onFrame: () => {} },
  )
  socket.start()
  for (let n = 0; n < 2; n++) {
    socket.onOffline()
    socket.check()
  }
  expect(asked).toHaveLength(3)
  asked[0]!.reject(new Error('no network'))
  asked[1]!.resolve('token')
  await vi.advanceTimersByTimeAsync(0)
  expect(socket.state).toBe('connecting')
  expect(StubSocket.opened).toEqual([])
  asked[2]!.resolve('token')
  await vi.advanceTimersByTimeAsync(0)
  expect(StubSocket.opened).toHaveLength(1)
  socket.stop()
})
