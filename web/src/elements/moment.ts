/** Moments in lists, in few words. */
import { daysAgo, timeOf } from './when.ts'

const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: 'short' })
const SHORT = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })

/** A moment for a list: the time today, then the weekday, then the date. */
export function momentOf(at: string, now = new Date()): string {
  const date = new Date(at)
  const days = daysAgo(date, now)
  if (days <= 0) return timeOf(at)
  return days < 7 ? WEEKDAY.format(date) : SHORT.format(date)
}
