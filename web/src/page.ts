/** The page at `/chat/`: one `<chat-app>` over the whole window. */
import './chat-room.ts'
import './elements/define-app.ts'
