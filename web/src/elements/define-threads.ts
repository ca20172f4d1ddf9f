/** Registers threads, and the lists of them. */

import './define-dialogs.ts'
import './define-parts.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { THREADS_TEXTS } from './shared/texts-threads.ts'
import { ChatRoomThreads } from './threads/room-threads.ts'
import { ChatThread } from './threads/thread.ts'
import { ChatThreadRows } from './threads/thread-rows.ts'
import { ChatThreads } from './threads/threads.ts'

addTexts(THREADS_TEXTS)
register({
  'chat-thread': ChatThread,
  'chat-thread-rows': ChatThreadRows,
  'chat-threads': ChatThreads,
  'chat-room-threads': ChatRoomThreads,
})
