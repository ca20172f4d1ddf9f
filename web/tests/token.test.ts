import { describe, expect, it } from 'vitest'
import { AuthNeeded, Tokens, userOf } from '../src/client/token.ts'

const NOW_MS = 1_800_000_000_000

function tokenUntil(exp_ms: number): string {
  return `x.${btoa(JSON.stringify({ user_id: '7', exp: exp_ms / 1000 }))}.x`
}

describe('tokens', () => {
  it('are asked for once by many, and again when they end soon', async () => {
    let now_ms = NOW_MS
    let asked = 0
    const tokens = new Tokens(
      async () => {
        asked++
        return tokenUntil(now_ms + 300_000)
      },
      () => now_ms,
    )
    await Promise.all([tokens.get(), tokens.get(), tokens.get()])
    expect(asked).toBe(1)
    now_ms += 275_000
    await tokens.get()
    expect(asked).toBe(2)
  })

  it('are tried though they look old, for the clock of a device may be wrong', async () => {
    const token = tokenUntil(NOW_MS - 3_600_000)
    expect(await new Tokens(token, () => NOW_MS).get()).toBe(token)
  })

  it('that the server refused are not given again', async () => {
    const token = tokenUntil(NOW_MS + 300_000)
    const tokens = new Tokens(token, () => NOW_MS)
    tokens.refuse(await tokens.get())
    await expect(tokens.get()).rejects.toThrow(AuthNeeded)
  })

  it('of a source whose every token is refused are not asked for without end', async () => {
    let asked = 0
    const tokens = new Tokens(
      () => tokenUntil(NOW_MS + ++asked),
      () => NOW_MS,
    )
    tokens.refuse(await tokens.get())
    tokens.refuse(await tokens.get())
    await expect(tokens.get()).rejects.toThrow(AuthNeeded)
    tokens.replace(() => tokenUntil(NOW_MS + 300_000))
    tokens.refuse(await tokens.get())
    tokens.accept()
    tokens.refuse(tokenUntil(NOW_MS))
    expect(await tokens.get()).not.toBe('')
  })

  it('tell whose they are, by a number or a string', () => {
    expect(userOf(tokenUntil(NOW_MS))).toBe(7)
    expect(userOf('nonsense')).toBe(null)
  })
})
