/** Registers scheduled messages and reminders. */

import './define-dialogs.ts'
import { ChatLater } from './later/later.ts'
import { ChatReminders } from './later/reminders.ts'
import { ChatScheduled } from './later/scheduled.ts'
import { ChatWhen } from './later/when.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { LATER_TEXTS } from './shared/texts-later.ts'

addTexts(LATER_TEXTS)
register({
  'chat-when': ChatWhen,
  'chat-later': ChatLater,
  'chat-scheduled': ChatScheduled,
  'chat-reminders': ChatReminders,
})
