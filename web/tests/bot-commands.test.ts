import { describe, expect, it } from 'vitest'
import { commandIn } from '../src/client/bot-commands.ts'

const COMMANDS = [{ name: 'remind' }, { name: 'task-42' }]

describe('a text gives a command', () => {
  it.each([
    ['/remind', 'remind', ''],
    ['/remind me tomorrow', 'remind', 'me tomorrow'],
    ['/remind\tme\nat nine', 'remind', 'me\nat nine'],
    ['/task-42  twice', 'task-42', 'twice'],
  ])('as %j does', (text, name, rest) => {
    expect(commandIn(text, COMMANDS)).toEqual({ name, text: rest })
  })

  it.each([
    'remind',
    ' /remind',
    '/',
    '//remind',
    '/reminder',
    '/Remind',
    '/remind, please',
    '/unknown',
    '',
  ])('and not as %j', text => {
    expect(commandIn(text, COMMANDS)).toBeNull()
  })
})
