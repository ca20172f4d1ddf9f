/** Times in the browser's language. */
import { t } from './texts.ts'

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const DAY: Intl.DateTimeFormatOptions = { weekday: 'long', day: 'numeric', month: 'long' }
const DAY_OF_YEAR = new Intl.DateTimeFormat(undefined, DAY)
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, { ...DAY, year: 'numeric' })
const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' })
const DAY_MS = 86_400_000

export function formatTime(time: string): string {
  return TIME.format(new Date(time))
}

export function formatDateTime(time: string): string {
  return DATE_AND_TIME.format(new Date(time))
}

/** Returns the number of midnights between `date` and `now`. */
export function daysAgo(date: Date, now: Date): number {
  return Math.round((midnightOf(now) - midnightOf(date)) / DAY_MS)
}

function midnightOf(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime()
}

/** Returns the text of a day separator: "Today", "Yesterday", or the date; past years with their year. */
export function formatDay(date: Date, now = new Date()): string {
  const days = daysAgo(date, now)
  if (days === 0) return t('today')
  if (days === 1) return t('yesterday')
  return (date.getFullYear() === now.getFullYear() ? DAY_OF_YEAR : DAY_AND_YEAR).format(date)
}
