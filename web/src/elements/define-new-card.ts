/** Registers the form for a new checklist or poll. */

import './define-cards.ts'
import './define-dialogs.ts'
import { ChatNewCard } from './cards/new-card.ts'
import { register } from './shared/register.ts'

register({ 'chat-new-card': ChatNewCard })
