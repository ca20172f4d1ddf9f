import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inputTime, offeredTimes } from '../src/client/later.ts'
import { EMPTY_LISTS, type PersonalLists, withPersonalFrame } from '../src/client/personal.ts'
import type { PersonalFrame, Reminder, ScheduledMessage } from '../src/client/wire.ts'

/** What one user has at the server, and the frames about it. */
class World {
  reminders = new Map<string, Reminder>()
  scheduled = new Map<string, ScheduledMessage>()
  frames: PersonalFrame[] = []

  step([kind, choice]: readonly [number, number]): void {
    const id = String(choice % 5)
    const at = new Date(Date.UTC(2026, 10, 22) + (choice % 7) * 60_000).toISOString()
    const reminder = this.reminders.get(id)
    const waiting = this.scheduled.get(id)
    if (kind === 0) this.remind({ id, message_id: `m${id}`, room_id: 'r', at, fired_at: null })
    else if (kind === 1 && reminder) this.remind({ ...reminder, fired_at: at })
    else if (kind === 2 && this.reminders.delete(id)) this.frames.push({ type: 'reminder_removed', id })
    else if (kind === 3)
      this.schedule({
        id,
        room_id: 'r',
        content: `text ${choice}`,
        reply_to_id: null,
        at,
        client_id: `c${id}`,
        state: 'pending',
        error: null,
      })
    else if (kind === 4 && waiting) this.schedule({ ...waiting, state: 'failed', error: 'archived' })
    else if (kind === 5 && waiting) {
      this.scheduled.delete(id)
      this.frames.push({ type: 'scheduled', ...waiting, content: '', state: 'sent' })
    } else if (kind === 6 && this.scheduled.delete(id)) this.frames.push({ type: 'scheduled_removed', id })
  }

  remind(reminder: Reminder): void {
    this.reminders.set(reminder.id, reminder)
    this.frames.push({ type: 'reminder', ...reminder })
  }

  schedule(message: ScheduledMessage): void {
    this.scheduled.set(message.id, message)
    this.frames.push({ type: 'scheduled', ...message })
  }

  snapshot(): PersonalLists {
    const sorted = <T extends { at: string; id: string }>(all: Iterable<T>) =>
      [...all].toSorted((a, b) => a.at.localeCompare(b.at) || a.id.localeCompare(b.id))
    return { reminders: sorted(this.reminders.values()), scheduled: sorted(this.scheduled.values()) }
  }
}

const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.nat(60)), { maxLength: 60 })

describe('what only the user sees', () => {
  it('folds to what a fresh read shows', () => {
    fc.assert(
      fc.property(steps, steps, (before, after) => {
        const world = new World()
        for (const step of before) world.step(step)
        const start = world.snapshot()
        const at = world.frames.length
        for (const step of after) world.step(step)
        expect(world.frames.slice(at).reduce(withPersonalFrame, start)).toEqual(world.snapshot())
      }),
    )
  })

  it('stays the same object if nothing changes', () => {
    const frames: PersonalFrame[] = [
      { type: 'reminder_removed', id: 'x' },
      { type: 'scheduled_removed', id: 'x' },
      { type: 'saved', message_id: 'm', room_id: 'r', saved_at: null },
    ]
    for (const frame of frames)
      expect(withPersonalFrame(EMPTY_LISTS, frame).reminders).toBe(EMPTY_LISTS.reminders)
  })
})

describe('the times that are offered', () => {
  const texts = (now: Date) => offeredTimes(now).map(one => one.text)

  it('are ahead, and leave out an evening that is near or over', () => {
    const morning = new Date(2026, 10, 22, 8, 30)
    expect(texts(morning)).toEqual(['inAnHour', 'thisEvening', 'tomorrowMorning'])
    expect(texts(new Date(2026, 10, 22, 17, 30))).toEqual(['inAnHour', 'tomorrowMorning'])
    expect(texts(new Date(2026, 10, 22, 23, 59))).toEqual(['inAnHour', 'tomorrowMorning'])
    for (const { at } of offeredTimes(morning)) expect(at.getTime()).toBeGreaterThan(morning.getTime())
    expect(offeredTimes(new Date(2026, 11, 31, 20)).at(-1)!.at).toEqual(new Date(2027, 0, 1, 9))
  })

  it('have the form of an input in the time zone of the device', () => {
    const at = new Date(2026, 10, 5, 9, 7)
    expect(inputTime(at)).toBe('2026-11-05T09:07')
    expect(new Date(inputTime(at))).toEqual(at)
  })
})
