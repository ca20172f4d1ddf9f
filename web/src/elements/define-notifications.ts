/** Registers the bell with its list, and exports what shows notifications outside the page. */
import { ChatBell } from './notifications/bell.ts'
import { ChatNotificationFeed } from './notifications/feed.ts'
import { addIcons } from './shared/icons.ts'
import { NOTIFICATION_PATHS } from './shared/icons-notifications.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { NOTIFICATION_TEXTS } from './shared/texts-notifications.ts'

export { SystemNotifications } from './notifications/system-notifications.ts'

addTexts(NOTIFICATION_TEXTS)
addIcons(NOTIFICATION_PATHS)
register({
  'chat-bell': ChatBell,
  'chat-notification-feed': ChatNotificationFeed,
})
