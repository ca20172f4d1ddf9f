/** Registers `<chat-badge>`. */
import { ChatBadge } from './chat-badge.ts'
import { register } from './register.ts'

register({ 'chat-badge': ChatBadge })
