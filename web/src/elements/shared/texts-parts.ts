/** The texts of what only some messages have. */

export const PARTS_TEXTS = {
  readBy: 'Read by {names}',
  notSent: 'Not sent.',
  discard: 'Discard',
  openImage: 'Open picture {name}',
  openFile: 'Download {name}',
  forwardedFrom: 'Forwarded from {name}',
  // Threads
  threads: 'Threads',
  threadsUnread: 'Threads, unread replies: {n}',
  inThread: 'In a thread',
  replies1: '1 reply',
  replies: '{n} replies',
  unreadReplies: '{n} unread',
  // Reactions
  react: 'React',
  reactions: 'Reactions',
  allReactions: 'All reactions',
  moreEmoji: 'More emoji',
  andOthers: '{n} more',
}
