/** Times and sizes in words, in the browser's language. */
import { t } from './texts.ts'

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const DAY: Intl.DateTimeFormatOptions = { weekday: 'long', day: 'numeric', month: 'long' }
const LONG = new Intl.DateTimeFormat(undefined, DAY)
const LONG_AGO = new Intl.DateTimeFormat(undefined, { ...DAY, year: 'numeric' })
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

/** A day for a separator: "Today", "Yesterday", a date, which has its year when that isn't this one. */
export function dayOf(at: Date, now = new Date()): string {
  const days = daysAgo(at, now)
  if (days === 0) return t('today')
  if (days === 1) return t('yesterday')
  return (at.getFullYear() === now.getFullYear() ? LONG : LONG_AGO).format(at)
}

export function sizeOf(bytes: number): string {
  const kilo = bytes / 1024
  if (kilo < 1024) return `${Math.max(1, Math.round(kilo))} kB`
  return `${(kilo / 1024).toFixed(1)} MB`
}
