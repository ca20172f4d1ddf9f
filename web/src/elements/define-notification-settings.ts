/** Registers the settings of notifications, and why the user was told. */

import './define-dialogs.ts'
import { ChatDeviceSettings } from './notifications/device-settings.ts'
import { ChatKeywords } from './notifications/keywords.ts'
import { ChatQuietHours } from './notifications/quiet-hours.ts'
import { ChatNotificationSettings } from './notifications/settings.ts'
import { ChatUnreadWhy } from './notifications/unread-why.ts'
import { ChatWhy } from './notifications/why.ts'
import { addIcons } from './shared/icons.ts'
import { NOTIFICATION_PATHS } from './shared/icons-notifications.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { NOTIFICATION_TEXTS } from './shared/texts-notifications.ts'

addTexts(NOTIFICATION_TEXTS)
addIcons(NOTIFICATION_PATHS)
register({
  'chat-device-settings': ChatDeviceSettings,
  'chat-keywords': ChatKeywords,
  'chat-notification-settings': ChatNotificationSettings,
  'chat-quiet-hours': ChatQuietHours,
  'chat-unread-why': ChatUnreadWhy,
  'chat-why': ChatWhy,
})
