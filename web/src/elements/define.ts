/**
 * Registers the public tags, and the elements that a room needs immediately.
 *
 * The order of the imports is the order of the modules in the bundle. In this one they compress best.
 */
// biome-ignore assist/source/organizeImports: see above
import { ChatRoom } from './tags/chat-room.ts'
import { ChatBadge } from './tags/chat-badge.ts'
import { ChatApp } from './tags/chat-app.ts'
import { ChatTimeline } from './timeline/timeline.ts'
import { ChatMessage } from './timeline/message.ts'
import { ChatAvatar } from './shared/avatar.ts'
import { ChatComposer } from './composer/composer.ts'
import { ChatConversation } from './conversation/conversation.ts'
import { register } from './shared/register.ts'

register({
  'chat-avatar': ChatAvatar,
  'chat-message': ChatMessage,
  'chat-timeline': ChatTimeline,
  'chat-composer': ChatComposer,
  'chat-conversation': ChatConversation,
  'chat-room': ChatRoom,
  'chat-badge': ChatBadge,
  'chat-app': ChatApp,
})
