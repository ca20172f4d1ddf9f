/** Registers what shows urgent messages and sends them. */
import { addIcons } from './shared/icons.ts'
import { PARTS_PATHS } from './shared/icons-parts.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { URGENT_TEXTS } from './shared/texts-urgent.ts'
import { ChatSendUrgent } from './urgent/send-urgent.ts'
import { ChatUrgentMark } from './urgent/urgent-mark.ts'

addTexts(URGENT_TEXTS)
addIcons(PARTS_PATHS)
register({
  'chat-send-urgent': ChatSendUrgent,
  'chat-urgent-mark': ChatUrgentMark,
})
