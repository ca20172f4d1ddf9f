/** Dates for lists, as short as possible. */
import { daysAgo, formatTime } from './format.ts'

const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: 'short' })
const DAY_MONTH = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'short' })

/** Returns the time for today, the weekday within a week, otherwise the date; past years with their year. */
export function formatShortDate(time: string, now = new Date()): string {
  const date = new Date(time)
  const days = daysAgo(date, now)
  if (days <= 0) return formatTime(time)
  if (days < 7) return WEEKDAY.format(date)
  return (date.getFullYear() === now.getFullYear() ? DAY_MONTH : DATE).format(date)
}
