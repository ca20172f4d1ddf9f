/** Moments in lists, in few words. */
import { daysAgo, timeOf } from './when.ts'

const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: 'short' })
const SHORT = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const OF_YEAR = new Intl.DateTimeFormat(undefined, { dateStyle: 'short' })

/** A moment for a list: the time today, then the weekday, then the date, with its year when it is another. */
export function momentOf(at: string, now = new Date()): string {
  const date = new Date(at)
  const days = daysAgo(date, now)
  if (days <= 0) return timeOf(at)
  if (days < 7) return WEEKDAY.format(date)
  return (date.getFullYear() === now.getFullYear() ? SHORT : OF_YEAR).format(date)
}
