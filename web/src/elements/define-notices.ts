/** Registers the notices about reminders and scheduled messages, and exports the element. */
import { ChatNotices } from './later/notices.ts'
import { addIcons } from './shared/icons.ts'
import { PARTS_PATHS } from './shared/icons-parts.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { LATER_TEXTS } from './shared/texts-later.ts'

export { ChatNotices }

addTexts(LATER_TEXTS)
addIcons(PARTS_PATHS)
register({ 'chat-notices': ChatNotices })
