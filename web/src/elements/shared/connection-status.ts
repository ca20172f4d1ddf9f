/** The connection bar. */
import { css } from 'lit'
import type { Client } from '../../client/client.ts'
import { t } from './texts.ts'

export const connectionBarStyle = css`
  .bar {
    flex: none;
    padding: 4px 16px;
    background: var(--_surface-2);
    color: var(--_text);
    font-size: 13px;
    text-align: center;
    text-wrap: balance;
  }
`

/** Interruptions shorter than this are not shown. */
const QUIET_MS = 2_000
/** After this time "Reconnecting" is replaced by "You are offline". */
const OFFLINE_MS = 15_000

/** Returns the text of the bar, or an empty string while there is nothing to show. */
export function connectionStatus(client: Client): string {
  if (client.state === 'refused') return t('signedOut')
  if (client.downSince_ms === null) return ''
  // The device's own report is shown immediately.
  if (!navigator.onLine) return t('offline')
  const down_ms = Date.now() - client.downSince_ms
  if (down_ms < QUIET_MS) return ''
  return down_ms > OFFLINE_MS ? t('offline') : t('reconnecting')
}
