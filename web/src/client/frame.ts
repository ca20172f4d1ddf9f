/** Reads what a socket delivers. */
import type { ServerFrame } from './wire.ts'

/** Gives the frame in `text`, or null when it is none. */
export function parseFrame(text: unknown): ServerFrame | null {
  if (typeof text !== 'string') return null
  try {
    const frame: unknown = JSON.parse(text)
    if (frame === null || typeof frame !== 'object') return null
    return typeof (frame as { type?: unknown }).type === 'string' ? (frame as ServerFrame) : null
  } catch {
    return null
  }
}
