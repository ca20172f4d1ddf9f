import { describe, expect, it } from 'vitest'
import { AuthNeeded, Tokens, userIdOf } from '../src/client/tokens.ts'

const NOW_MS = 1_800_000_000_000

function tokenUntil(exp_ms: number): string {
  return `x.${btoa(JSON.stringify({ user_id: '7', exp: exp_ms / 1000 }))}.x`
}

describe('tokens', () => {
  it('are requested once for concurrent callers, and again shortly before they expire', async () => {
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

  it("are tried even if they seem to have expired, because the device's clock may be wrong", async () => {
    const token = tokenUntil(NOW_MS - 3_600_000)
    expect(await new Tokens(token, () => NOW_MS).get()).toBe(token)
  })

  it('are not returned again after the server has refused them', async () => {
    const token = tokenUntil(NOW_MS + 300_000)
    const tokens = new Tokens(token, () => NOW_MS)
    tokens.refuse(await tokens.get())
    await expect(tokens.get()).rejects.toThrow(AuthNeeded)
  })

  it('are not requested indefinitely if the server refuses each of them', async () => {
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

  it("contain the user's id as a number or a string", () => {
    expect(userIdOf(tokenUntil(NOW_MS))).toBe(7)
    expect(userIdOf('nonsense')).toBe(null)
  })
})
