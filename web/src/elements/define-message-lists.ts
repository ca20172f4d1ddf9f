/** Registers the lists of messages that the account menu opens. */

import './define-dialogs.ts'
import { ChatMentions } from './list/mentions.ts'
import { ChatSaved } from './list/saved.ts'
import { register } from './shared/register.ts'

register({
  'chat-mentions': ChatMentions,
  'chat-saved': ChatSaved,
})
