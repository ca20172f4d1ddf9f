/** What to say about the line: nothing while trouble is short. */
import type { Client } from '../client/client.ts'
import { t } from './texts.ts'

/** Trouble shorter than this isn't worth a word. */
const QUIET_MS = 2_000
/** After this long, "reconnecting" no longer helps. */
const OFFLINE_MS = 15_000

export function connectionText(client: Client): string {
  if (client.state === 'refused') return t('signedOut')
  if (client.downSince_ms === null) return ''
  // What the device itself says needs no time to be believed.
  if (!navigator.onLine) return t('offline')
  const down_ms = Date.now() - client.downSince_ms
  if (down_ms < QUIET_MS) return ''
  return down_ms > OFFLINE_MS ? t('offline') : t('reconnecting')
}
