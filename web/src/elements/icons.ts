/** The icons, as strokes in a square of 24. Those of parts that are loaded later are in `icons-more.ts`. */
import { html, type TemplateResult } from 'lit'
import type { MORE_PATHS } from './icons-more.ts'

const FIRST = {
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
  file: 'M6 3h8l5 5v13H6zm8 0v5h5',
  task: 'M14.5 6.5a4.5 4.5 0 0 0-6 5.6L3 17.6 6.4 21l5.5-5.5a4.5 4.5 0 0 0 5.6-6l-2.9 2.9-3-3z',
  property: 'm3 11 9-7 9 7M5 9.5V20h14V9.5M10 20v-6h4v6',
}

export type IconName = keyof typeof FIRST | keyof typeof MORE_PATHS

const paths: Partial<Record<IconName, string>> = { ...FIRST }

/** Adds the icons of a part that has been loaded. */
export function addIcons(more: Partial<Record<IconName, string>>): void {
  Object.assign(paths, more)
}

/** Those that point along the line of reading. */
const TURNS: ReadonlySet<IconName> = new Set(['back', 'reply', 'send', 'leave', 'next'])

/** Draws an icon; it says nothing to a screen reader, its button does. */
export function icon(name: IconName): TemplateResult {
  return html`<svg class=${TURNS.has(name) ? 'turns' : ''} viewBox="0 0 24 24" aria-hidden="true"><path d=${paths[name] ?? ''}></path></svg>`
}
