/** The texts of threads. */

export const THREADS_TEXTS = {
  thread: 'Thread',
  noThreads: 'No threads yet. Choose “Reply in thread” in the menu of a message.',
  noReplies: 'No replies yet',
  rootGone: 'The first message was deleted.',
  alsoInRoom: 'Also show in the room',
  olderReplies: 'Load older replies',
}
