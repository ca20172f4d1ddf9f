/** The module that pages of any origin load. It defines `<chat-room>`, `<chat-badge>` and `<chat-app>`. */
import './elements/define.ts'

export { setTexts } from './elements/shared/texts.ts'
