/** How long to wait before trying again, and trying again. */

/**
 * Gives the wait before try number `attempt` (0 is the first retry), in milliseconds.
 *
 * Half of it is fixed and half is chance, so that clients which a restart has thrown out together don't
 * come back together, and none comes back at once.
 */
export function backoffMs(attempt: number, random: () => number, base_ms = 500, cap_ms = 30_000): number {
  const span_ms = Math.min(cap_ms, base_ms * 2 ** Math.min(attempt, 16))
  return span_ms / 2 + (random() * span_ms) / 2
}

/** Does something again after growing pauses, until it is told that it was done. */
export class Retry {
  #attempt = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly act: () => void,
    private readonly random: () => number = Math.random,
  ) {}

  get waiting(): boolean {
    return this.#timer !== undefined
  }

  /** Does it after the next pause, which is at least `floor_ms`. */
  later(floor_ms = 0): void {
    clearTimeout(this.#timer)
    const wait_ms = Math.max(floor_ms, backoffMs(this.#attempt++, this.random, 1_000))
    this.#timer = setTimeout(() => this.now(), wait_ms)
  }

  /** Does it without waiting for the pause's end: something has changed for the better. */
  now(): void {
    this.#clear()
    this.act()
  }

  /** It is being done already. */
  begun(): void {
    this.#clear()
  }

  /** It was done, or isn't wanted any more. */
  end(): void {
    this.#attempt = 0
    this.#clear()
  }

  #clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
