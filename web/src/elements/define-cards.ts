/** Registers checklists and polls. */
import { ChatCard } from './cards/card.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { CARDS_TEXTS } from './shared/texts-cards.ts'

addTexts(CARDS_TEXTS)
register({ 'chat-card': ChatCard })
