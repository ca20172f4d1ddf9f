/** The texts of what a room has around its messages. */

export const ROOM_TEXTS = {
  online: 'online',
  people1: '1 person',
  people: '{n} people',
  onlineCount: '{n} online',
  typing1: '{name} is typing',
  typing2: '{name} and {other} are typing',
  typingMany: '{n} people are typing',
  // Who may write
  onlyAdminsWrite: 'Only admins can write here.',
  slowMode: 'Slow mode: you can write again in {time}.',
  slowSending: 'Slow mode: your message will be sent in {time}.',
  // Mentions
  nextMention: 'Go to the next mention of you ({n})',
  mentionList: 'Whom to mention',
  mentionCount: '{n} suggestions. Use the arrow keys to choose.',
  everyone: 'everyone in this room',
  addToRoom: 'Add to the room',
  // Commands of bots
  commandList: 'Commands',
  commandSent: 'The bot has got it.',
  botAway: 'The bot is not connected. Try again later.',
  dismiss: 'Dismiss',
  // Pins
  pins: 'Pinned messages',
  pinned1: 'Pinned message',
  pinnedOf: 'Pinned message {n} of {all}',
  allPins: 'All pinned messages',
}
