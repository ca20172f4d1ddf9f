/** Times and sizes in words, in the browser's language. */
import { t } from './texts.ts'

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const LONG = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' })
const DAY_MS = 86_400_000

export function timeOf(at: string): string {
  return TIME.format(new Date(at))
}

export function wholeTime(at: string): string {
  return WHOLE.format(new Date(at))
}

/** How many midnights lie between `at` and now. */
export function daysAgo(at: Date, now: Date): number {
  return Math.round((midnight(now) - midnight(at)) / DAY_MS)
}

function midnight(at: Date): number {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime()
}

/** A day for a separator: "Today", "Yesterday", a date. */
export function dayOf(at: Date, now = new Date()): string {
  const days = daysAgo(at, now)
  if (days === 0) return t('today')
  return days === 1 ? t('yesterday') : LONG.format(at)
}

export function sizeOf(bytes: number): string {
  const kilo = bytes / 1024
  if (kilo < 1024) return `${Math.max(1, Math.round(kilo))} kB`
  return `${(kilo / 1024).toFixed(1)} MB`
}
