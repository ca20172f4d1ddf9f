/** Registers what is loaded when a message is written, apart from the composer itself. */

import { ChatTooLong } from './composer/too-long.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { COMPOSING_TEXTS } from './shared/texts-composing.ts'

addTexts(COMPOSING_TEXTS)
register({
  'chat-too-long': ChatTooLong,
})
