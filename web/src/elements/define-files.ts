/** Registers what only messages with several files have. */
import { register } from './shared/register.ts'
import { ChatMoreFiles } from './timeline/more-files.ts'

register({ 'chat-more-files': ChatMoreFiles })
