/** Parsing of incoming frames. */
import type { ServerFrame } from './wire.ts'

/** Returns the frame in `text`, or null if it contains none. */
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
