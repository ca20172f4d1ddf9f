/** How long to wait before trying again. */

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
