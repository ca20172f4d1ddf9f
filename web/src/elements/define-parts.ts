/** Registers what only some messages have, with its texts, and exports what is no element. */
import { ChatQuickReactions } from './reactions/quick-reactions.ts'
import { ChatReactions } from './reactions/reactions.ts'
import { addIcons } from './shared/icons.ts'
import { PARTS_PATHS } from './shared/icons-parts.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { PARTS_TEXTS } from './shared/texts-parts.ts'
import { ChatFile } from './timeline/file.ts'
import { ChatFoot } from './timeline/foot.ts'
import { ChatForwarded } from './timeline/forwarded.ts'
import { ChatLinkPreviews } from './timeline/link-previews.ts'
import { ChatThreadsButton } from './timeline/threads-button.ts'

export { HoverBar } from './reactions/hover-bar.ts'

addTexts(PARTS_TEXTS)
addIcons(PARTS_PATHS)
register({
  'chat-file': ChatFile,
  'chat-foot': ChatFoot,
  'chat-forwarded': ChatForwarded,
  'chat-link-previews': ChatLinkPreviews,
  'chat-reactions': ChatReactions,
  'chat-quick-reactions': ChatQuickReactions,
  'chat-threads-button': ChatThreadsButton,
})
