/** Registers the elements that a room needs at once. */
import { ChatAvatar } from './avatar.ts'
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
})
