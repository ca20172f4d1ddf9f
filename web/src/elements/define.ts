/** Registers the tags, and the elements that a room needs at once. */
import { ChatAppTag } from './app-tag.ts'
import { ChatAvatar } from './avatar.ts'
import { ChatBadge } from './chat-badge.ts'
import { ChatRoom } from './chat-room.ts'
import { ChatComposer } from './composer.ts'
import { ChatConversation } from './conversation.ts'
import { ChatMessage } from './message.ts'
import { register } from './register.ts'
import { ChatTimeline } from './timeline.ts'

register({
  'chat-avatar': ChatAvatar,
  'chat-message': ChatMessage,
  'chat-timeline': ChatTimeline,
  'chat-composer': ChatComposer,
  'chat-conversation': ChatConversation,
  'chat-room': ChatRoom,
  'chat-badge': ChatBadge,
  'chat-app': ChatAppTag,
})
