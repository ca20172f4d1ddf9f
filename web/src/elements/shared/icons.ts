/** The icons, as strokes in a square of 24. Those of elements that are loaded on demand are in `icons-lazy.ts`. */
import { html, type TemplateResult } from 'lit'
import type { LAZY_PATHS } from './icons-lazy.ts'
import type { NOTIFICATION_PATHS } from './icons-notifications.ts'
import type { PARTS_PATHS } from './icons-parts.ts'
import type { ROOM_PATHS } from './icons-room.ts'

const EAGER_PATHS = {
  send: 'M21 3 10.5 13.5M21 3l-6.5 18-4-7.5L3 9.5z',
  back: 'm15 5-7 7 7 7',
  close: 'm6 6 12 12M18 6 6 18',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm9 2-4-4',
  attach:
    'm20 11.5-8.2 8.2a5.2 5.2 0 0 1-7.4-7.4l8.3-8.2a3.5 3.5 0 0 1 4.9 4.9l-8.3 8.2a1.7 1.7 0 0 1-2.4-2.4l7.6-7.6',
  smile: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zm-4-7s1.5 2 4 2 4-2 4-2M9 9.5h.01M15 9.5h.01',
  more: 'M12 5.5v.01M12 12v.01m0 6.49v.01',
  reply: 'M9 14 4 9l5-5M4 9h10a6 6 0 0 1 6 6v4',
  edit: 'M4 20h4L19 9l-4-4L4 16zm9-13 4 4',
  down: 'm6 9 6 6 6-6',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  checks: 'm2 12.5 4.5 4.5L15 8m-4 8 1 1 9.5-9.5',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zm0-14v5l3 2',
  alert: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zm0-13.5v5m0 3.5v.01',
  task: 'M14.5 6.5a4.5 4.5 0 0 0-6 5.6L3 17.6 6.4 21l5.5-5.5a4.5 4.5 0 0 0 5.6-6l-2.9 2.9-3-3z',
  property: 'm3 11 9-7 9 7M5 9.5V20h14V9.5M10 20v-6h4v6',
}

export type IconName =
  | keyof typeof EAGER_PATHS
  | keyof typeof LAZY_PATHS
  | keyof typeof NOTIFICATION_PATHS
  | keyof typeof PARTS_PATHS
  | keyof typeof ROOM_PATHS

const paths: Partial<Record<IconName, string>> = { ...EAGER_PATHS }

/** Adds the icons of elements that have been loaded. */
export function addIcons(lazy: Partial<Record<IconName, string>>): void {
  Object.assign(paths, lazy)
}

/** Icons that are mirrored where text runs from right to left. */
const MIRRORED: ReadonlySet<IconName> = new Set(['back', 'reply', 'send', 'leave', 'next', 'forward'])

/** Renders an icon. It is hidden from assistive technology; its button has the label. */
export function icon(name: IconName): TemplateResult {
  return html`<svg class=${MIRRORED.has(name) ? 'turns' : ''} viewBox="0 0 24 24" aria-hidden="true"><path d=${paths[name] ?? ''}></path></svg>`
}
